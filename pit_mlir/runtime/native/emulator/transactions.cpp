// mbarriers: barriers in shared memory that count arrivals and bytes, and data that arrives at them.
#include <algorithm>

#include "machine.h"

namespace pit::emulator {

void Machine::startAsync() {}

bool Machine::moveData() { return false; }

std::string Machine::transactionText(uint32_t) const { return ""; }

}  // namespace pit::emulator
