/* The version of the contract.
 *
 * While the major number is 0 a library and a host must agree in both numbers. From 1.0 on a host accepts every library
 * of its own major number and of a minor number not above its own. A change of any struct, function table or constant
 * below abi/palimpsest/ changes the number; docs/abi.md has the rules. */
#ifndef PALIMPSEST_VERSION_H
#define PALIMPSEST_VERSION_H

#define PALIMPSEST_ABI_MAJOR 0
#define PALIMPSEST_ABI_MINOR 3

#endif
