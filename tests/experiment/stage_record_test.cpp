#include "experiment/stage_record.hpp"

#include <gtest/gtest.h>

#include <string>

namespace palimpsest::experiment {
namespace {

TEST(StageRecord, ANulThatAModelWroteCanBeStored) {
  plugin::Column column;
  column.name = "text";
  column.doc = "what the model writes";
  column.dtype = PALIMPSEST_TEXT;
  plugin::Row row;
  row.values.push_back({.text = std::string("a\0b\0", 4)});
  StageRecord record;
  record.add_rows("/metrics/writes", "", {1, "edited", 0}, {column}, {row}, {});
  EXPECT_EQ(record.tables().at(0).values<std::string>("text").at(0), "a\u2400b\u2400");
}

}  // namespace
}  // namespace palimpsest::experiment
