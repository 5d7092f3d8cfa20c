#include "config/document.hpp"

#include "support.hpp"

namespace palimpsest::config {
namespace {

using testing::Folder;
using testing::message_of;

std::string text(const Document& document) { return canonical_toml(document.root); }

TEST(Document, ExtendsMergesTablesAndReplacesLists) {
  const Folder folder;
  folder.write("sub/base.toml", "list = [1, 2]\n[t]\na = 1\nb = 2\n");
  const auto file = folder.write("a.toml", "extends = \"sub/base.toml\"\nlist = [3]\n[t]\nb = 3\n");
  const Document document = load_document(file);
  EXPECT_EQ(text(document), "list = [3]\n\n[t]\na = 1\nb = 3\n");
  const Table& t = document.root.find("t")->value.as<Table>();
  EXPECT_EQ(folder.shown(t.find("a")->value.position.text()), "sub/base.toml:3:5");
  EXPECT_EQ(folder.shown(t.find("b")->value.position.text()), "a.toml:4:5");
  EXPECT_EQ(t.find("a")->value.position.source->folder, folder.path() / "sub");
  ASSERT_EQ(document.files.size(), 2u);
}

TEST(Document, OfSeveralExtendedFilesTheLaterWins) {
  const Folder folder;
  folder.write("one.toml", "x = 1\ny = 1\n");
  folder.write("two.toml", "y = 2\n");
  const auto file = folder.write("a.toml", "extends = [\"one.toml\", \"two.toml\"]\nz = 3\n");
  EXPECT_EQ(text(load_document(file)), "x = 1\ny = 2\nz = 3\n");
}

TEST(Document, AnotherIdReplacesTheWholeTable) {
  const Folder folder;
  folder.write("base.toml", "[editor]\nid = \"rome\"\nlayer = 5\n[task]\nid = \"t\"\nfile = \"f\"\n");
  const auto other =
      folder.write("a.toml", "extends = \"base.toml\"\n[editor]\nid = \"memit\"\n[task]\nid = \"t\"\nmore = 1\n");
  EXPECT_EQ(text(load_document(other)), "[editor]\nid = \"memit\"\n\n[task]\nfile = \"f\"\nid = \"t\"\nmore = 1\n");
  EXPECT_EQ(text(load_document(folder.path() / "base.toml", {"editor.id=ft"})),
            "[editor]\nid = \"ft\"\n\n[task]\nfile = \"f\"\nid = \"t\"\n");
}

TEST(Document, SettingsOfIdAndParametersGoTogetherInAnyOrder) {
  const Folder folder;
  const auto file = folder.write("a.toml", "[editor]\nid = \"rome\"\nlayer = 5\n");
  const std::string want = "[editor]\nid = \"memit\"\nlayers = [4, 5]\n";
  EXPECT_EQ(text(load_document(file, {"editor.id=memit", "editor.layers=[4, 5]"})), want);
  EXPECT_EQ(text(load_document(file, {"editor.layers=[4, 5]", "editor.id=memit"})), want);
}

TEST(Document, SettingsAreTomlOrElseText) {
  const auto value = [](const std::string& given) { return inline_toml(parse_setting("k=" + given, "").value); };
  EXPECT_EQ(value("1"), "1");
  EXPECT_EQ(value(" 1e-4 "), "1e-04");
  EXPECT_EQ(value("true"), "true");
  EXPECT_EQ(value("rome"), "\"rome\"");
  EXPECT_EQ(value("\"rome\""), "\"rome\"");
  EXPECT_EQ(value("{id = \"x\", n = [1]}"), "{id = \"x\", n = [1]}");
  EXPECT_EQ(value("/some/path.txt"), "\"/some/path.txt\"");
  EXPECT_EQ(value("2024-01-01"), "\"2024-01-01\"");
  EXPECT_EQ(value("1\nother = 2"), "\"1\\nother = 2\"");
  EXPECT_EQ(value(""), "\"\"");
  EXPECT_EQ(parse_setting("k=a", "").value.position.text(), "--set");
  EXPECT_THAT(parse_setting("a.\"x=y\" = 1", "").key, ::testing::ElementsAre("a", "x=y"));
}

TEST(Document, MalformedSettings) {
  const Folder folder;
  EXPECT_EQ(message_of(folder, [] { parse_setting("training.max_steps", ""); }),
            "--set: found \"training.max_steps\", expected key=value, such as training.max_steps=10");
  EXPECT_EQ(
      message_of(folder, [] { parse_setting("=1", ""); }),
      "--set: found the key \"\" (a part is empty), expected names joined by dots, such as training.learning_rate");
  EXPECT_THAT(message_of(folder, [] { parse_setting("a=[1, 2", ""); }),
              ::testing::StartsWith("--set: a: found [1, 2, expected a TOML value: --set:1:"));
  const auto file = folder.write("a.toml", "");
  EXPECT_EQ(message_of(folder, [&] { load_document(file, {"extends=b.toml"}); }),
            "--set: extends: cannot be set on the command line; put it into the file");
}

TEST(Document, MissingFiles) {
  const Folder folder;
  EXPECT_EQ(message_of(folder, [&] { load_document(folder.path() / "no.toml"); }),
            "cannot read no.toml: No such file or directory");
  const auto file = folder.write("a.toml", "x = 1\nextends = [\"no.toml\"]\n");
  EXPECT_EQ(message_of(folder, [&] { load_document(file); }),
            "a.toml:2:12: extends: cannot read no.toml: No such file or directory");
  EXPECT_THAT(message_of(folder, [&] { load_document(folder.path()); }),
              ::testing::HasSubstr("it is not a regular file"));
}

TEST(Document, CyclesNameTheChain) {
  const Folder folder;
  const auto file = folder.write("a.toml", "extends = \"sub/b.toml\"\n");
  folder.write("sub/b.toml", "\nextends = \"../a.toml\"\n");
  EXPECT_EQ(message_of(folder, [&] { load_document(file); }),
            "sub/b.toml:2:11: extends: found a cycle, expected none: a.toml -> sub/b.toml -> a.toml");
  const auto self = folder.write("self.toml", "extends = \"self.toml\"\n");
  EXPECT_EQ(message_of(folder, [&] { load_document(self); }),
            "self.toml:1:11: extends: found a cycle, expected none: self.toml -> self.toml");
}

TEST(Document, ExtendsOfAnotherType) {
  const Folder folder;
  const auto file = folder.write("a.toml", "extends = [\"\", 3]\n");
  EXPECT_EQ(message_of(folder, [&] { load_document(file); }),
            "a.toml:1:12: extends: found the string \"\", expected the path of a TOML file or a list of paths");
}

TEST(Document, TreesOfExtendedFilesThatExplodeAreRefused) {
  const Folder folder;
  for (int i = 0; i < 20; ++i) {
    const std::string next = cat("\"f", i + 1, ".toml\"");
    folder.write(cat("f", i, ".toml"), cat("extends = [", next, ", ", next, "]\n"));
  }
  folder.write("f20.toml", "x = 1\n");
  EXPECT_THAT(message_of(folder, [&] { load_document(folder.path() / "f0.toml"); }),
              ::testing::EndsWith("extends: more than 64 files are read, expected at most 64"));
}

}  // namespace
}  // namespace palimpsest::config
