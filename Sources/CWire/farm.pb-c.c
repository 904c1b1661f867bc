#include "farm.pb-c.h"
