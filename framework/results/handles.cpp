#include "results/handles.hpp"

#include <vector>

namespace palimpsest::results::hdf5 {

void silence() { H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr); }

void fail_hdf5(ErrorCode code, std::string_view what) {
  std::vector<std::string> reasons;
  const auto collect = [](unsigned, const H5E_error2_t* error, void* into) -> herr_t {
    if (error->desc != nullptr) static_cast<std::vector<std::string>*>(into)->emplace_back(error->desc);
    return 0;
  };
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_DOWNWARD, collect, &reasons);
  H5Eclear2(H5E_DEFAULT);
  // The ends of the stack say what was wanted and what went wrong; the middle is HDF5's own way there.
  std::string text;
  for (std::size_t i = 0; i < reasons.size(); ++i) {
    if (i != 0 && i + 2 < reasons.size()) continue;
    text += (text.empty() ? ": " : "; ") + reasons[i];
  }
  fail(code, what, " (HDF5", text.empty() ? ": no reason given" : text, ")");
}

Type string_type(ErrorCode code) {
  Type type(checked(H5Tcopy(H5T_C_S1), code, "cannot make a text type"));
  checked(H5Tset_size(type, H5T_VARIABLE), code, "cannot make a text type");
  checked(H5Tset_cset(type, H5T_CSET_UTF8), code, "cannot make a text type");
  return type;
}

}  // namespace palimpsest::results::hdf5
