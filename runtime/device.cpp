#include "runtime/device.h"
