// A library with nothing of the contract in it: no note, no symbol.
extern "C" __attribute__((visibility("default"))) int helper_of_mine();
int helper_of_mine() { return 1; }
