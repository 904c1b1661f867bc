// Scalar functions in fp64 from our own series: the same operations, and so the same bits, on every machine.
//
// A target of its own, so that what needs no kernels (drawn photographs) does not link them.
#pragma once

// Natural logarithm and exponential.
double fv_log(double x);
double fv_exp(double x);
// Cosine and sine of an angle in radians, |angle| up to 1e6.
void fv_cosine_sine(double angle, double *cosine, double *sine);
