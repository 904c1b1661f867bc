import Console

// The one binary of Fovea: every role and every tool is a subcommand. This file only finds the command and runs it.

ProcessHost.run { host in await CommandLineTool.run(host) }
