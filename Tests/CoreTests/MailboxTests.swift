import Foundation
import Support
import Testing

@Suite("A mailbox between threads")
struct MailboxTests {
  @Test("Gives each thread's elements in their order, each once, and ends when closed")
  func order() {
    let mailbox = Mailbox<Int>()
    let threads = (0..<4).map { writer in
      let thread = Thread { for i in 0..<1_000 { mailbox.post(writer * 1_000 + i) } }
      thread.start()
      return thread
    }
    var taken: [Int] = []
    while taken.count < 4_000, let more = mailbox.wait() { taken += more }
    #expect(threads.count == 4)
    #expect(Set(taken).count == 4_000)
    for writer in 0..<4 {
      let own = taken.filter { $0 / 1_000 == writer }
      #expect(own == own.sorted())
    }
    mailbox.post(7)
    mailbox.close()
    mailbox.post(8)
    #expect(mailbox.isClosed)
    #expect(mailbox.wait() == [7], "what came before the end is not lost")
    #expect(mailbox.wait() == nil)
    #expect(mailbox.take().isEmpty)
  }
}
