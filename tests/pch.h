#pragma once
// What nearly every test needs, compiled once.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/pch.h"
