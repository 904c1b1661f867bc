// JPEG by libjpeg-turbo. Damage that libjpeg would paint over with a warning is an error here.
#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include <jpeglib.h>

#include <jerror.h>

#include "images.h"

// A progressive file may repeat scans without end, each of which costs a pass over the whole image.
enum { SCANS_MAX = 256 };

typedef struct {
  struct jpeg_error_mgr manager;
  jmp_buf escape;
  fovea_image_status status;
  char *reason;
} errors;

_Noreturn static void fail(j_common_ptr info, fovea_image_status status) {
  errors *e = (errors *)info->err;
  char text[JMSG_LENGTH_MAX];
  e->manager.format_message(info, text);
  snprintf(e->reason, FOVEA_IMAGE_REASON_BYTES, "%s", text);
  e->status = status;
  longjmp(e->escape, 1);
}

_Noreturn static void fail_with(j_common_ptr info, fovea_image_status status, const char *text) {
  errors *e = (errors *)info->err;
  snprintf(e->reason, FOVEA_IMAGE_REASON_BYTES, "%s", text);
  e->status = status;
  longjmp(e->escape, 1);
}

_Noreturn static void on_error(j_common_ptr info) {
  switch (info->err->msg_code) {
    case JERR_OUT_OF_MEMORY: fail(info, FOVEA_IMAGE_OUT_OF_MEMORY);
    case JERR_BAD_PRECISION:
    case JERR_ARITH_NOTIMPL:
    case JERR_SOF_UNSUPPORTED:
    case JERR_CONVERSION_NOTIMPL: fail(info, FOVEA_IMAGE_UNSUPPORTED);
    default: fail(info, FOVEA_IMAGE_BROKEN);
  }
}

static void on_message(j_common_ptr info, int level) {
  if (level >= 0) return;
  switch (info->err->msg_code) {
    case JWRN_JPEG_EOF: fail(info, FOVEA_IMAGE_TRUNCATED);
    case JWRN_HIT_MARKER:
    case JWRN_HUFF_BAD_CODE:
    case JWRN_ARITH_BAD_CODE:
    case JWRN_BOGUS_PROGRESSION:
    case JWRN_NOT_SEQUENTIAL:
    case JWRN_MUST_RESYNC: fail(info, FOVEA_IMAGE_BROKEN);
    default: break;  // stray bytes between markers and the like: no pixel depends on them
  }
}

static void no_output(j_common_ptr info) { (void)info; }

static void on_progress(j_common_ptr info) {
  if (info->is_decompressor && ((j_decompress_ptr)info)->input_scan_number > SCANS_MAX)
    fail_with(info, FOVEA_IMAGE_UNSUPPORTED, "more scans than any encoder writes");
}

static boolean at_end(j_decompress_ptr info) {
  fail_with((j_common_ptr)info, FOVEA_IMAGE_TRUNCATED, "the bytes end before the image does");
}

static void skip(j_decompress_ptr info, long count) {
  if (count <= 0) return;
  if ((size_t)count > info->src->bytes_in_buffer) at_end(info);
  info->src->next_input_byte += count;
  info->src->bytes_in_buffer -= (size_t)count;
}

static void nothing(j_decompress_ptr info) { (void)info; }

typedef struct {
  struct jpeg_decompress_struct info;
  struct jpeg_source_mgr source;
  struct jpeg_progress_mgr progress;
  errors errors;
  // A row of CMYK.
  JSAMPARRAY row;
} decoder;

static void open_decoder(decoder *d, const uint8_t *bytes, size_t count) {
  jpeg_create_decompress(&d->info);
  d->source = (struct jpeg_source_mgr){
      .next_input_byte = bytes, .bytes_in_buffer = count, .init_source = nothing, .fill_input_buffer = at_end,
      .skip_input_data = skip, .resync_to_restart = jpeg_resync_to_restart, .term_source = nothing};
  d->info.src = &d->source;
  d->progress.progress_monitor = on_progress;
  d->info.progress = &d->progress;
  jpeg_read_header(&d->info, TRUE);
}

static void prepare(decoder *d, char *reason) {
  memset(d, 0, sizeof *d);
  d->info.err = jpeg_std_error(&d->errors.manager);
  d->errors.manager.error_exit = on_error;
  d->errors.manager.emit_message = on_message;
  d->errors.manager.output_message = no_output;
  d->errors.reason = reason;
}

// What Pillow's convert("RGB") makes of a CMYK file, which it takes to be inverted, as Adobe writes it.
static void rgb_from_inverted_cmyk(const uint8_t *in, uint8_t *out, uint32_t width) {
  for (uint32_t x = 0; x < width; x++, in += 4, out += 3) {
    const int k = in[3];
    for (int c = 0; c < 3; c++) {
      const int product = (255 - in[c]) * k + 128;
      const int value = k - ((product + (product >> 8)) >> 8);
      out[c] = (uint8_t)(value < 0 ? 0 : value);
    }
  }
}

fovea_image_status fovea_jpeg_header(const uint8_t *bytes, size_t count, fovea_image_header *header, char *reason) {
  decoder d;
  prepare(&d, reason);
  if (setjmp(d.errors.escape)) {
    jpeg_destroy_decompress(&d.info);
    return d.errors.status;
  }
  open_decoder(&d, bytes, count);
  *header = (fovea_image_header){
      .width = d.info.image_width, .height = d.info.image_height, .channels = (uint32_t)d.info.num_components,
      .bits = (uint32_t)d.info.data_precision};
  jpeg_destroy_decompress(&d.info);
  return FOVEA_IMAGE_OK;
}

fovea_image_status fovea_jpeg_decode(
    const uint8_t *bytes, size_t count, uint32_t width, uint32_t height, uint8_t *pixels, char *reason) {
  decoder d;
  prepare(&d, reason);
  if (setjmp(d.errors.escape)) {
    jpeg_destroy_decompress(&d.info);
    return d.errors.status;
  }
  open_decoder(&d, bytes, count);
  const int components = d.info.num_components;
  if (components != 1 && components != 3 && components != 4)
    fail_with((j_common_ptr)&d.info, FOVEA_IMAGE_UNSUPPORTED, "neither gray, colour nor CMYK");
  d.info.out_color_space = components == 4 ? JCS_CMYK : JCS_RGB;
  jpeg_start_decompress(&d.info);
  if (d.info.output_width != width || d.info.output_height != height ||
      d.info.output_components != (components == 4 ? 4 : 3))
    fail_with((j_common_ptr)&d.info, FOVEA_IMAGE_BROKEN, "the size differs from the header's");
  if (components == 4)
    d.row = d.info.mem->alloc_sarray((j_common_ptr)&d.info, JPOOL_IMAGE, (JDIMENSION)(4 * width), 1);
  while (d.info.output_scanline < height) {
    uint8_t *out = pixels + (size_t)d.info.output_scanline * width * 3;
    JSAMPROW row = components == 4 ? d.row[0] : out;
    if (jpeg_read_scanlines(&d.info, &row, 1) != 1) at_end(&d.info);
    if (components == 4) rgb_from_inverted_cmyk(row, out, width);
  }
  jpeg_finish_decompress(&d.info);
  jpeg_destroy_decompress(&d.info);
  return FOVEA_IMAGE_OK;
}
