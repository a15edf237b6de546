/* SPDX-License-Identifier: MIT */
#include "preload/sys.h"

bool ph_confined;
