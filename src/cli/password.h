#pragma once
// Passwords from a person or a script. Main thread.
#include <string>

#include "base/error.h"

namespace starling::cli {

// Asks twice on the terminal `descriptor`, without echo. Errors: invalid when the two differ or nothing was
// typed.
Result<std::string> ask_password_twice(int descriptor, const std::string& what);
// Asks once, likewise. Errors: invalid when nothing was typed.
Result<std::string> ask_password(int descriptor, const std::string& what);
// The first line of `descriptor`, without its end. Errors: invalid when it is empty, limit past 1024 bytes.
Result<std::string> read_password_line(int descriptor);

}  // namespace starling::cli
