// PNG by libpng.
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <png.h>

#include "images.h"

typedef struct {
  png_structp png;
  png_infop info;
  jmp_buf escape;
  fovea_image_status status;
  char *reason;
  // What is read.
  const uint8_t *bytes;
  size_t remaining;
  png_bytepp rows;
  // What is written.
  uint8_t *written;
  size_t count;
  size_t capacity;
} codec;

// libpng's own memory for one chunk: more than any palette or profile needs.
enum { CHUNK_BYTES_MAX = 8 << 20, CHUNKS_MAX = 1000 };

_Noreturn static void fail(codec *c, fovea_image_status status, const char *text) {
  snprintf(c->reason, FOVEA_IMAGE_REASON_BYTES, "%s", text);
  c->status = status;
  longjmp(c->escape, 1);
}

_Noreturn static void on_error(png_structp png, png_const_charp text) {
  fail(png_get_error_ptr(png), FOVEA_IMAGE_BROKEN, text);
}

static void on_warning(png_structp png, png_const_charp text) {
  (void)png;
  (void)text;
}

static void read_bytes(png_structp png, png_bytep out, size_t count) {
  codec *c = png_get_io_ptr(png);
  if (count > c->remaining) fail(c, FOVEA_IMAGE_TRUNCATED, "the bytes end before the image does");
  memcpy(out, c->bytes, count);
  c->bytes += count;
  c->remaining -= count;
}

// libpng allocates what a chunk says that it holds before it reads any of it; its own limits only warn. So a chunk that
// is longer than the rest of the file is refused first. Image data is never held as a whole: libpng tells itself where
// it ends.
static void check_chunks(codec *c) {
  enum { SIGNATURE = 8, HEADER = 8, CHECKSUM = 4 };
  for (size_t at = SIGNATURE; at + HEADER <= c->remaining;) {
    const uint8_t *chunk = c->bytes + at, *name = chunk + 4;
    const size_t count = HEADER + (size_t)png_get_uint_32(chunk) + CHECKSUM;
    if (!memcmp(name, "IEND", 4)) return;
    if (count > c->remaining - at) {
      if (!memcmp(name, "IDAT", 4)) return;
      fail(c, FOVEA_IMAGE_TRUNCATED, "the bytes end before the image does");
    }
    at += count;
  }
}

static void open_reader(codec *c) {
  check_chunks(c);
  c->png = png_create_read_struct(PNG_LIBPNG_VER_STRING, c, on_error, on_warning);
  if (!c->png) fail(c, FOVEA_IMAGE_OUT_OF_MEMORY, "out of memory");
  c->info = png_create_info_struct(c->png);
  if (!c->info) fail(c, FOVEA_IMAGE_OUT_OF_MEMORY, "out of memory");
  png_set_user_limits(c->png, 0x7fffffff, 0x7fffffff);  // the caller has its own, which say more
  png_set_chunk_malloc_max(c->png, CHUNK_BYTES_MAX);
  png_set_chunk_cache_max(c->png, CHUNKS_MAX);
  png_set_read_fn(c->png, c, read_bytes);
  png_read_info(c->png, c->info);
}

static fovea_image_status close_reader(codec *c) {
  free(c->rows);
  png_destroy_read_struct(c->png ? &c->png : NULL, c->info ? &c->info : NULL, NULL);
  return c->status;
}

fovea_image_status fovea_png_header(const uint8_t *bytes, size_t count, fovea_image_header *header, char *reason) {
  codec c = {.reason = reason, .bytes = bytes, .remaining = count};
  if (setjmp(c.escape)) return close_reader(&c);
  open_reader(&c);
  const uint32_t channels = png_get_channels(c.png, c.info);
  *header = (fovea_image_header){
      .width = png_get_image_width(c.png, c.info), .height = png_get_image_height(c.png, c.info),
      .channels = png_get_color_type(c.png, c.info) == PNG_COLOR_TYPE_PALETTE ? 3 : channels,
      .bits = png_get_bit_depth(c.png, c.info)};
  return close_reader(&c);
}

fovea_image_status fovea_png_decode(
    const uint8_t *bytes, size_t count, uint32_t width, uint32_t height, uint8_t *pixels, char *reason) {
  codec c = {.reason = reason, .bytes = bytes, .remaining = count};
  if (setjmp(c.escape)) return close_reader(&c);
  open_reader(&c);
  if (png_get_image_width(c.png, c.info) != width || png_get_image_height(c.png, c.info) != height)
    fail(&c, FOVEA_IMAGE_BROKEN, "the size differs from the header's");
  // Colour stays as stored: no gamma, no background. Transparency is dropped; a tRNS chunk is left alone.
  png_set_strip_16(c.png);
  png_set_packing(c.png);
  if (png_get_color_type(c.png, c.info) == PNG_COLOR_TYPE_PALETTE) png_set_palette_to_rgb(c.png);
  if (!(png_get_color_type(c.png, c.info) & PNG_COLOR_MASK_COLOR)) {
    if (png_get_bit_depth(c.png, c.info) < 8) png_set_expand_gray_1_2_4_to_8(c.png);
    png_set_gray_to_rgb(c.png);
  }
  png_set_strip_alpha(c.png);
  png_set_interlace_handling(c.png);
  png_read_update_info(c.png, c.info);
  if (png_get_rowbytes(c.png, c.info) != (size_t)width * 3)
    fail(&c, FOVEA_IMAGE_UNSUPPORTED, "rows that do not become RGB");
  c.rows = malloc((size_t)height * sizeof *c.rows);
  if (!c.rows) fail(&c, FOVEA_IMAGE_OUT_OF_MEMORY, "out of memory");
  for (uint32_t y = 0; y < height; y++) c.rows[y] = pixels + (size_t)y * width * 3;
  png_read_image(c.png, c.rows);
  png_read_end(c.png, NULL);
  return close_reader(&c);
}

static void write_bytes(png_structp png, png_bytep in, size_t count) {
  codec *c = png_get_io_ptr(png);
  if (c->count + count > c->capacity) {
    const size_t capacity = (c->count + count) * 2;
    uint8_t *larger = realloc(c->written, capacity);
    if (!larger) fail(c, FOVEA_IMAGE_OUT_OF_MEMORY, "out of memory");
    c->written = larger;
    c->capacity = capacity;
  }
  memcpy(c->written + c->count, in, count);
  c->count += count;
}

static void flush(png_structp png) { (void)png; }

fovea_image_status fovea_png_encode(
    const uint8_t *pixels, uint32_t width, uint32_t height, uint8_t **bytes, size_t *count, char *reason) {
  codec c = {.reason = reason};
  if (setjmp(c.escape)) {
    free(c.written);
    png_destroy_write_struct(c.png ? &c.png : NULL, c.info ? &c.info : NULL);
    return c.status;
  }
  c.png = png_create_write_struct(PNG_LIBPNG_VER_STRING, &c, on_error, on_warning);
  if (!c.png) fail(&c, FOVEA_IMAGE_OUT_OF_MEMORY, "out of memory");
  c.info = png_create_info_struct(c.png);
  if (!c.info) fail(&c, FOVEA_IMAGE_OUT_OF_MEMORY, "out of memory");
  png_set_write_fn(c.png, &c, write_bytes, flush);
  png_set_user_limits(c.png, 0x7fffffff, 0x7fffffff);
  png_set_IHDR(
      c.png, c.info, width, height, 8, PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
      PNG_FILTER_TYPE_DEFAULT);
  png_write_info(c.png, c.info);
  for (uint32_t y = 0; y < height; y++) png_write_row(c.png, pixels + (size_t)y * width * 3);
  png_write_end(c.png, NULL);
  png_destroy_write_struct(&c.png, &c.info);
  *bytes = c.written;
  *count = c.count;
  return FOVEA_IMAGE_OK;
}

void fovea_image_free(uint8_t *bytes) { free(bytes); }
