// SPDX-License-Identifier: MIT
#pragma once
// Which kernels a program runs: --kernels, and the tuning table as a JSON file (kernels/tuning.h
// says what it means).
//
//   {"format_version": 1, "device": "NVIDIA H200, …", "libraries": "cuBLASLt 13.1.0, cuDNN 9.19.0",
//    "variants": {"gemm M4096 N4096 K4096 …": "vendor_3", …}}

#include <filesystem>
#include <string>

#include "kernels/tuning.h"

namespace convoy::apps {

struct KernelConfig {
  std::string kernels = "own";
  std::string tuning_table;
};

template <class Visitor>
void describe_kernels(KernelConfig& c, Visitor&& v) {
  v("kernels", c.kernels,
    "own: hand-written ones; vendor: cuBLASLt and cuDNN where they have the op (cuda); auto: as "
    "the tuning table says");
  v("tuning-table", c.tuning_table, "JSON file that says which variant of an op runs");
}

// Throws a usage error for another word, and for vendor where the device has no such kernels.
KernelFamily parse_kernels(const std::string& kernels, const Device& device);

// A usage error in `what`'s name on a device where nothing can be timed.
void require_clock(const char* what, const Device& device);

// What a table is good for: the device, without its index, and what its speed depends on besides.
std::string tuning_device(const Device& device);
// The vendor's libraries and their versions, which number their variants.
std::string tuning_libraries();

// The table of a file. Errors of kind data say what is wrong with it; of kind usage, that it was
// made for another device or with other libraries, and both.
TuningTable read_tuning_table(const std::filesystem::path& file, const Device& device);
void write_tuning_table(const std::filesystem::path& file, const TuningTable& table,
                        const Device& device);
// For other ranks: keys and variants, a line each.
std::string to_text(const TuningTable& table);
TuningTable tuning_table_of(const std::string& text);
// 16 hexadecimal digits of what is in it; "none" of an empty one.
std::string tuning_hash(const TuningTable& table);

// Sets the family and the table for all that is planned from here on.
void set_kernels(const KernelConfig& config, const Device& device);

// One line for --kernels vendor: how many ops had no variant there, and the first three.
std::string without_vendor_line();
// One line for --tuning-table: how many of its entries name no variant that there is, and three.
std::string not_there_line();

}  // namespace convoy::apps
