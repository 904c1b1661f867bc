// JPEG and PNG through libjpeg-turbo and libpng, for Swift.
//
// Both libraries report errors by longjmp, which must not cross Swift frames; so everything between an error's origin
// and its handler is in this target. No function here exits, prints, or keeps state: each returns a status and leaves
// its reason in a buffer of the caller's.
//
// Pixels are 8-bit RGB, [height][width][3], as Pillow's convert("RGB") gives them.
#pragma once
#include <stddef.h>
#include <stdint.h>

typedef enum {
  FOVEA_IMAGE_OK = 0,
  // The bytes end before the image does.
  FOVEA_IMAGE_TRUNCATED = 1,
  // The bytes are not an image of the format, or damaged.
  FOVEA_IMAGE_BROKEN = 2,
  // A valid image of a kind that is not read.
  FOVEA_IMAGE_UNSUPPORTED = 3,
  FOVEA_IMAGE_OUT_OF_MEMORY = 4,
} fovea_image_status;

enum { FOVEA_IMAGE_REASON_BYTES = 256 };

typedef struct {
  uint32_t width;
  uint32_t height;
  // As stored: 1 gray, 2 gray and alpha, 3 colour, 4 colour and alpha or CMYK; a palette counts as 3.
  uint32_t channels;
  // Bits a channel, as stored.
  uint32_t bits;
} fovea_image_header;

typedef fovea_image_status fovea_image_header_function(
    const uint8_t *bytes, size_t count, fovea_image_header *header, char reason[FOVEA_IMAGE_REASON_BYTES]);

// `pixels` holds width * height * 3 bytes of an image whose header says these sizes; anything else is BROKEN. After an
// error its content is undefined.
typedef fovea_image_status fovea_image_decode_function(
    const uint8_t *bytes, size_t count, uint32_t width, uint32_t height, uint8_t *pixels,
    char reason[FOVEA_IMAGE_REASON_BYTES]);

fovea_image_header_function fovea_jpeg_header, fovea_png_header;
fovea_image_decode_function fovea_jpeg_decode, fovea_png_decode;

// Writes an RGB PNG. `*bytes` is the caller's on success, until fovea_image_free.
fovea_image_status fovea_png_encode(
    const uint8_t *pixels, uint32_t width, uint32_t height, uint8_t **bytes, size_t *count,
    char reason[FOVEA_IMAGE_REASON_BYTES]);

void fovea_image_free(uint8_t *bytes);
