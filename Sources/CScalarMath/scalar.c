// The series of CScalarMath.h.
#include <stdint.h>
#include <string.h>

#include "CScalarMath.h"
#pragma STDC FP_CONTRACT OFF

// x = 2^e f, f in [sqrt(1/2), sqrt(2)); log f = 2 atanh((f - 1) / (f + 1)).
double fv_log(double x) {
  if (!(x > 0)) return x == 0 ? -__builtin_inf() : __builtin_nan("");
  if (x == __builtin_inf()) return x;
  uint64_t bits;
  memcpy(&bits, &x, 8);
  int64_t exponent = (int64_t)(bits >> 52) - 1023;
  if (exponent == -1023) {  // a denormal: scale it up first
    x *= 0x1p54;
    memcpy(&bits, &x, 8);
    exponent = (int64_t)(bits >> 52) - 1023 - 54;
  }
  bits = (bits & 0x000FFFFFFFFFFFFFull) | 0x3FF0000000000000ull;
  double f;
  memcpy(&f, &bits, 8);
  if (f > 1.4142135623730951) {
    f *= 0.5;
    exponent++;
  }
  const double t = (f - 1) / (f + 1), t2 = t * t;
  double series = 0;
  for (int k = 21; k >= 1; k -= 2) series = series * t2 + 1.0 / k;
  return (double)exponent * 0.6931471805599453 + 2 * t * series;
}

double fv_exp(double x) {
  if (x != x) return x;
  if (x > 709) return __builtin_inf();
  if (x < -708) return 0;
  const double n = (x * 1.4426950408889634 + 0x1.8p52) - 0x1.8p52;
  const double r = (x - n * 0.693147180369123816490) - n * 1.90821492927058770002e-10;
  double series = 0;
  for (int k = 14; k >= 1; k--) series = 1 + series * r / k;
  const uint64_t bits = (uint64_t)((int64_t)n + 1023) << 52;
  double scale;
  memcpy(&scale, &bits, 8);
  return series * scale;
}

// angle = n pi/2 + r, |r| <= pi/4; pi/2 in three parts so that r is exact enough for |angle| up to 1e6.
void fv_cosine_sine(double angle, double *cosine, double *sine) {
  const double n = (angle * 0.6366197723675814 + 0x1.8p52) - 0x1.8p52;
  double r = angle - n * 1.57079632673412561417e+00;
  r = r - n * 6.07710050630396597660e-11;
  r = r - n * 2.02226624879595063154e-21;
  const double r2 = r * r;
  double s = 1, c = 1;
  for (int k = 8; k >= 1; k--) {
    s = 1 - s * r2 / ((2.0 * k) * (2 * k + 1));
    c = 1 - c * r2 / ((2.0 * k) * (2 * k - 1));
  }
  s *= r;
  switch ((int64_t)n & 3) {
    case 0: *cosine = c; *sine = s; break;
    case 1: *cosine = -s; *sine = c; break;
    case 2: *cosine = -c; *sine = -s; break;
    default: *cosine = s; *sine = -c; break;
  }
}
