// SPDX-License-Identifier: MIT
// Every way in which a header can break the format, one case each: it must be refused as bad data,
// with a text that names the file and the rule.
#include "nn/safetensors_header.h"

#include <gtest/gtest.h>

namespace convoy::nn {
namespace {

std::string length_of(std::uint64_t length) {
  std::string bytes;
  for (int i = 0; i < 8; ++i) bytes += static_cast<char>(length >> 8 * i & 0xff);
  return bytes;
}

// A file of this JSON and `data_bytes` bytes after it.
std::string file_of(const std::string& json, std::size_t data_bytes = 0) {
  return length_of(json.size()) + json + std::string(data_bytes, '\x01');
}

SafetensorsHeader parse(const std::string& file, Strictness strictness = Strictness::lenient) {
  return parse_safetensors(std::as_bytes(std::span(file)), "weights.safetensors", strictness);
}

std::string repeat(const std::string& text, int times) {
  std::string all;
  for (int i = 0; i < times; ++i) all += text;
  return all;
}

struct Bad {
  const char* name;
  std::string file;
  const char* says;  // part of the error's text
};
std::ostream& operator<<(std::ostream& out, const Bad& bad) { return out << bad.name; }

class SafetensorsRefuses : public ::testing::TestWithParam<Bad> {};

TEST_P(SafetensorsRefuses, WithItsRule) {
  try {
    parse(GetParam().file);
    FAIL() << "accepted";
  } catch (const Error& e) {
    const std::string text = e.what();
    EXPECT_EQ(e.kind(), ErrorKind::data);
    EXPECT_EQ(text.find("weights.safetensors: "), 0u) << text;
    EXPECT_NE(text.find(GetParam().says), text.npos) << text;
    EXPECT_LT(text.size(), 600u);
  }
}

// One tensor "a" with this dtype, shape and offsets.
std::string tensor(const std::string& dtype, const std::string& shape, const std::string& offsets) {
  return "{\"a\":{\"dtype\":" + dtype + ",\"shape\":" + shape + ",\"data_offsets\":" + offsets +
         "}}";
}
std::string u8(const std::string& shape, const std::string& offsets) {
  return tensor("\"U8\"", shape, offsets);
}
const std::string kEntry = R"({"dtype":"U8","shape":[1],"data_offsets":[0,1]})";

std::vector<Bad> bad_layouts() {
  return {
      {"Empty", "", "expected at least 8 bytes"},
      {"SevenBytes", std::string(7, '\0'), "found a file of 7"},
      {"NoHeader", length_of(0), "found 0"},
      {"HeaderAboveLimit", length_of(100'000'001) + "{}", "at most 100000000, found 100000001"},
      {"LengthOverflows", length_of(~0ull) + "{}", "at most 100000000"},
      {"HeaderAboveFile", length_of(3) + "{}", "at most 2 (the file has 10 bytes), found 3"},
      {"NotUtf8", file_of("{\"\xff\":" + kEntry + "}", 1), "not JSON at offset 10"},
      {"OverlongUtf8", file_of("{\"\xc0\x80\":" + kEntry + "}", 1), "not JSON at offset 10"},
      {"Array", file_of("[]"), "expected one JSON object"},
      {"Number", file_of("1"), "expected one JSON object"},
      {"WhiteSpaceOnly", file_of("    "), "found white space only"},
      {"TwoValues", file_of("{}{}"), "not JSON at offset 10"},
      {"TrailingText", file_of("{}x"), "not JSON at offset 10"},
      {"NulPadding", file_of(std::string("{}\0\0", 4)), "at offset 10: found a NUL"},
      {"NulInName", file_of(std::string("{\"a\0\":", 6) + kEntry + "}", 1), "found a NUL"},
      {"Unfinished", file_of("{\"a\":"), "not JSON"},
      {"ByteOrderMark", file_of("\xef\xbb\xbf{}"), "expected one JSON object at offset 8"},
      {"GitLfsPointer", "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a",
       "git lfs pull"},
      {"HtmlPage", "\n<!DOCTYPE html><html><head><title>404", "HTML page"},
      {"HtmlPageWithoutType", "<HTML><body>Not found</body></html>", "HTML page"},
      {"Pickle", std::string("PK\x03\x04") + std::string(60, 'x'), "PyTorch pickle"},
      {"OldPickle", "\x80\x02\x8a\nl\xfc\x9c" + std::string(60, 'x'), "PyTorch pickle"},
  };
}

std::vector<Bad> bad_json() {
  return {
      {"DuplicateTensor", file_of("{\"a\":" + kEntry + ",\"a\":" + kEntry + "}", 1),
       "duplicate key"},
      {"DuplicateByEscape", file_of("{\"\\u0061\":" + kEntry + ",\"a\":" + kEntry + "}", 1),
       "duplicate key \"a\""},
      {"DuplicateMetadata", file_of(R"({"__metadata__":{},"__metadata__":{}})"), "__metadata__"},
      {"DuplicateMetadataByEscape", file_of(R"({"__metadata__":{},"\u005f_metadata__":{}})"),
       "__metadata__"},
      {"DuplicateMetadataKey", file_of(R"({"__metadata__":{"k":"1","\u006b":"2"}})"),
       "duplicate key \"k\""},
      {"DuplicateField",
       file_of(R"({"a":{"dtype":"U8","shape":[1],"sh\u0061pe":[1],"data_offsets":[0,1]}})", 1),
       "tensor \"a\": duplicate key \"shape\""},
      {"MetadataNull", file_of(R"({"__metadata__":null})"), "expected an object, found null"},
      {"MetadataList", file_of(R"({"__metadata__":[]})"), "expected an object, found an array"},
      {"MetadataNumber", file_of(R"({"__metadata__":{"epoch":3}})"), "strings only"},
      {"MetadataNullValue", file_of(R"({"__metadata__":{"k":null}})"), "strings only"},
      {"MetadataNested", file_of(R"({"__metadata__":{"k":{}}})"), "strings only"},
      {"EntryIsNumber", file_of(R"({"a":1})"), "expected an object, found the number 1"},
      {"EntryIsArray", file_of(R"({"a":[]})"), "expected an object, found an array"},
      {"EntryIsString", file_of(R"({"a":"U8"})"), "expected an object, found the string"},
      {"NoDtype", file_of(R"({"a":{"shape":[1],"data_offsets":[0,1]}})", 1), "missing \"dtype\""},
      {"NoShape", file_of(R"({"a":{"dtype":"U8","data_offsets":[0,1]}})", 1), "missing \"shape\""},
      {"NoOffsets", file_of(R"({"a":{"dtype":"U8","shape":[1]}})", 1), "missing \"data_offsets\""},
      {"UnknownField",
       file_of(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1],"strides":[1]}})", 1),
       "expected only dtype, shape and data_offsets, found \"strides\""},
      {"TooDeep", file_of(u8(repeat("[", 50) + repeat("]", 50), "[0,1]"), 1), "found an array"},
      {"VeryDeep", file_of("{\"a\":{\"shape\":" + repeat("[", 100'000)), "found an array"},
      {"LongKey", file_of("{\"" + std::string(4097, 'k') + "\":" + kEntry + "}", 1),
       "keys of at most 4096 bytes"},
      {"EmptyName", file_of("{\"\":" + kEntry + "}", 1), "name is empty"},
      {"LoneSurrogate", file_of("{\"\\ud800\":" + kEntry + "}", 1), "not JSON"},
      {"LoneLowSurrogate", file_of("{\"\\udc00x\":" + kEntry + "}", 1), "not JSON"},
      {"InvalidEscape", file_of("{\"\\x41\":" + kEntry + "}", 1), "not JSON"},
      {"ControlCharacter", file_of("{\"a\n\":" + kEntry + "}", 1), "not JSON"},
      {"NaN", file_of(u8("[NaN]", "[0,1]"), 1), "not JSON"},
      {"Infinity", file_of(u8("[Infinity]", "[0,1]"), 1), "not JSON"},
      {"Comment", file_of("{/**/\"a\":" + kEntry + "}", 1), "not JSON at offset 9"},
      {"TrailingComma", file_of("{\"a\":" + kEntry + ",}", 1), "not JSON"},
      {"TrailingCommaInList", file_of(u8("[1,]", "[0,1]"), 1), "not JSON"},
      {"LeadingZero", file_of(u8("[01]", "[0,1]"), 1), "not JSON"},
      {"PlusSign", file_of(u8("[+1]", "[0,1]"), 1), "not JSON"},
  };
}

std::vector<Bad> bad_numbers() {
  return {
      {"FloatInShape", file_of(u8("[1.0]", "[0,1]"), 1), "non-negative integers"},
      {"ExponentInShape", file_of(u8("[1e3]", "[0,1]"), 1), "non-negative integers"},
      {"MinusZero", file_of(u8("[-0]", "[0,0]")), "non-negative integers"},
      {"Negative", file_of(u8("[-1]", "[0,1]"), 1), "non-negative integers"},
      {"StringInShape", file_of(u8("[\"1\"]", "[0,1]"), 1), "non-negative integers"},
      {"NullInShape", file_of(u8("[null]", "[0,1]"), 1), "non-negative integers"},
      {"FloatInOffsets", file_of(u8("[1]", "[0,1.0]"), 1), "non-negative integers"},
      {"StringInOffsets", file_of(u8("[1]", "[0,\"1\"]"), 1), "non-negative integers"},
      {"ShapeIsNumber", file_of(u8("1", "[0,1]"), 1), "shape: expected a list"},
      {"OffsetsAreObject", file_of(u8("[1]", "{}"), 1), "data_offsets: expected a list"},
      {"Above48Bits", file_of(u8("[281474976710656]", "[0,1]"), 1), "up to 281474976710655"},
      {"Above64Bits", file_of(u8("[99999999999999999999]", "[0,1]"), 1), "non-negative integers"},
      {"DtypeIsNumber", file_of(tensor("8", "[1]", "[0,1]"), 1), "dtype: expected a string"},
      {"DtypeIsNull", file_of(tensor("null", "[1]", "[0,1]"), 1), "dtype: expected a string"},
      {"UnknownDtype", file_of(tensor("\"F12\"", "[1]", "[0,1]"), 1), "unknown dtype \"F12\""},
      {"LowerCaseDtype", file_of(tensor("\"f32\"", "[1]", "[0,4]"), 4), "unknown dtype \"f32\""},
      {"ProductOverflows", file_of(u8("[281474976710655,281474976710655,0]", "[0,0]")),
       "overflows 64 bits"},
      {"BitsOverflow", file_of(tensor("\"U64\"", "[281474976710655,65536]", "[0,0]")),
       "overflows 64 bits"},
      {"HalfByte", file_of(tensor("\"F4\"", "[3]", "[0,2]"), 2), "whole bytes, found 12 bits"},
      {"SixBits", file_of(tensor("\"F6_E2M3\"", "[2]", "[0,2]"), 2), "whole bytes"},
      {"RankAboveCap", file_of(u8("[" + repeat("1,", 16) + "1]", "[0,1]"), 1), "16 dimensions"},
      {"DtypeNamesControlCharacters", file_of(tensor("\"\\u001b[31m\"", "[1]", "[0,1]"), 1),
       "unknown dtype \"\\u001b[31m\""},
  };
}

std::string two(const std::string& a, const std::string& b) {
  return R"({"a":{"dtype":"U8","shape":[2],"data_offsets":)" + a +
         R"(},"b":{"dtype":"U8","shape":[2],"data_offsets":)" + b + "}}";
}

std::vector<Bad> bad_offsets() {
  std::string bomb = "{";
  for (int i = 0; i < 1000; ++i) {
    bomb += "\"t" + std::to_string(i) + R"(":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},)";
  }
  bomb.back() = '}';
  return {
      {"OneOffset", file_of(u8("[1]", "[0]"), 1), "two numbers, found 1"},
      {"NoOffsetAtAll", file_of(u8("[1]", "[]"), 1), "two numbers, found 0"},
      {"ThreeOffsets", file_of(u8("[1]", "[0,1,2]"), 1), "two numbers, found more"},
      {"BeginAboveEnd", file_of(u8("[1]", "[1,0]"), 1), "begin <= end, found [1, 0]"},
      {"TooFewBytes", file_of(u8("[2]", "[0,1]"), 1),
       "expects 2 bytes, data_offsets [0, 1] hold 1"},
      {"TooManyBytes", file_of(u8("[1]", "[0,2]"), 2), "expects 1 bytes"},
      {"ScalarWithoutByte", file_of(u8("[]", "[0,0]")), "expects 1 bytes"},
      {"FirstNotAtZero", file_of(u8("[1]", "[1,2]"), 2), "expected begin 0"},
      {"Hole", file_of(two("[0,2]", "[3,5]"), 5), "tensor \"b\": data_offsets: expected begin 2"},
      {"Overlap", file_of(two("[0,2]", "[1,3]"), 3), "expected begin 2 (no hole, no overlap)"},
      {"SameRange", file_of(two("[0,2]", "[0,2]"), 2), "expected begin 2"},
      {"AllAliasOneRange", file_of(bomb, 4), "no overlap"},
      {"TrailingByte", file_of(two("[0,2]", "[2,4]"), 5), "found 5 (trailing bytes)"},
      {"MissingByte", file_of(two("[0,2]", "[2,4]"), 3), "found 3 (the file is cut short)"},
      {"BytesWithoutTensors", file_of("{}", 1), "found 1 (trailing bytes)"},
      {"OffsetsAboveFile", file_of(u8("[281474976710655]", "[0,281474976710655]"), 1), "cut short"},
  };
}

std::string case_name(const ::testing::TestParamInfo<Bad>& info) { return info.param.name; }
INSTANTIATE_TEST_SUITE_P(Layout, SafetensorsRefuses, ::testing::ValuesIn(bad_layouts()), case_name);
INSTANTIATE_TEST_SUITE_P(Json, SafetensorsRefuses, ::testing::ValuesIn(bad_json()), case_name);
INSTANTIATE_TEST_SUITE_P(Numbers, SafetensorsRefuses, ::testing::ValuesIn(bad_numbers()),
                         case_name);
INSTANTIATE_TEST_SUITE_P(Offsets, SafetensorsRefuses, ::testing::ValuesIn(bad_offsets()),
                         case_name);

TEST(SafetensorsHeader, TooManyTensors) {
  std::string json = "{";
  for (std::size_t i = 0; i <= kMaxTensors; ++i) {
    json += fmt::format("\"{}\":{{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}},", i);
  }
  json.back() = '}';
  EXPECT_THROW(parse(file_of(json)), Error);
}

TEST(SafetensorsHeader, AcceptsWhatTheFormatAllows) {
  EXPECT_TRUE(parse(file_of("{}")).tensors.empty());
  EXPECT_TRUE(parse(file_of("{}  ")).tensors.empty());
  EXPECT_EQ(parse(file_of(u8("[]", "[0,1]"), 1)).tensors[0].shape.size(), 0u);
  EXPECT_EQ(parse(file_of(u8("[3,0,5]", "[0,0]"))).tensors[0].bytes(), 0u);
  EXPECT_EQ(parse(file_of(tensor("\"F4\"", "[2,3]", "[0,3]"), 3)).tensors[0].dtype, StoredType::F4);
  const std::string name = std::string(4096, 'k');
  EXPECT_EQ(parse(file_of("{\"" + name + "\":" + kEntry + "}", 1)).tensors[0].name, name);
  EXPECT_EQ(parse(file_of("{\"\\u0000\":" + kEntry + "}", 1)).tensors[0].name,
            std::string(1, '\0'));
  const auto header = parse(file_of(R"({"__metadata__":{"format":"pt","":""}})"));
  EXPECT_EQ(header.metadata.at("format"), "pt");
}

TEST(SafetensorsHeader, FieldsComeInAnyOrder) {
  const auto header =
      parse(file_of(R"({"a":{"data_offsets":[0,6],"shape":[3],"dtype":"F16"}})", 6));
  EXPECT_EQ(header.tensors[0].dtype, StoredType::F16);
  EXPECT_EQ(header.tensors[0].end, 6u);
}

TEST(SafetensorsHeader, OrderIsByOffsetThenName) {
  const auto header = parse(file_of(R"({"z":{"dtype":"U8","shape":[0],"data_offsets":[2,2]},)"
                                    R"("c":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},)"
                                    R"("b":{"dtype":"U8","shape":[0],"data_offsets":[2,2]},)"
                                    R"("e":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}})",
                                    2));
  std::string names;
  for (const TensorEntry& t : header.tensors) names += t.name;
  EXPECT_EQ(names, "ecbz");
  EXPECT_EQ(header.find("b")->begin, 2u);
  EXPECT_EQ(header.find("x"), nullptr);
}

TEST(SafetensorsHeader, WhiteSpaceAroundTheObject) {
  const std::string padded = file_of(" \n\t\r" + u8("[1]", "[0,1]") + "\n", 1);
  EXPECT_EQ(parse(padded).data_begin, padded.size() - 1);
  EXPECT_THROW(parse(padded, Strictness::strict), Error);
  EXPECT_THROW(parse(file_of(u8("[1]", "[0,1]") + "\n", 1), Strictness::strict), Error);
  EXPECT_NO_THROW(parse(file_of(u8("[1]", "[0,1]") + "   ", 1), Strictness::strict));
}

// Its length begins as a pickle does: 80 02.
TEST(SafetensorsHeader, OfSixHundredAndFortyBytes) {
  const std::string object = u8("[1]", "[0,1]");
  EXPECT_NO_THROW(parse(file_of(object + std::string(640 - object.size(), ' '), 1)));
}

TEST(SafetensorsHeader, EveryDtypeOfTheFormatIsKnown) {
  for (const char* known :
       {"BOOL",    "F4",          "F6_E2M3",     "F6_E3M2", "U8",  "I8",  "F8_E5M2", "F8_E4M3",
        "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ", "I16",     "U16", "F16", "BF16",    "I32",
        "U32",     "F32",         "C64",         "F64",     "I64", "U64"}) {
    const auto type = stored_type(known);
    ASSERT_TRUE(type) << known;
    EXPECT_STREQ(name(*type), known);
    // Eight elements take as many bytes as one takes bits.
    const std::string bits = std::to_string(bits_of(*type));
    const std::string json = tensor(std::string("\"") + known + "\"", "[8]", "[0," + bits + "]");
    EXPECT_NO_THROW(parse(file_of(json, bits_of(*type)))) << known;
  }
}

TEST(SafetensorsHeader, KnownButUnsupportedIsAnotherErrorThanUnknown) {
  const auto header = parse(file_of(tensor("\"F8_E4M3\"", "[1]", "[0,1]"), 1));
  try {
    to_dtype(header.tensors[0].dtype, header.tensors[0].name);
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::data);
    EXPECT_NE(std::string(e.what()).find("F8_E4M3 is known to the format but not supported"),
              std::string::npos);
  }
  for (const DType dtype :
       {DType::f32, DType::f16, DType::bf16, DType::f64, DType::u8, DType::i32, DType::i64}) {
    EXPECT_EQ(to_dtype(to_stored(dtype), "t"), dtype);
  }
}

}  // namespace
}  // namespace convoy::nn
