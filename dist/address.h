// SPDX-License-Identifier: MIT
#pragma once
// Which of this machine's addresses others are to reach it by.

#include <ifaddrs.h>

#include <string>

namespace convoy::dist {

// The address of ours from which `host` is reached.
std::string address_towards(const std::string& host);

// An address of ours that other machines may reach: of the first interface that is up and neither
// loopback nor bound to one link, IPv4 before IPv6. Empty where there is none.
std::string network_address();
std::string network_address(const ifaddrs* interfaces);
// Of the interface of that name, by the same preferences; loopback's too. Throws Error that names
// those that there are.
std::string address_of_interface(const std::string& name);

}  // namespace convoy::dist
