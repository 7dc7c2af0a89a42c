#pragma once
// The command line's library is all headers, and large: compiled once.
#include <CLI/CLI.hpp>

#include "base/pch.h"
