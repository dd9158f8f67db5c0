// Every kind of case that a program of GoogleTest can have, good and bad ones.
#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <fstream>
#include <string>

namespace {

int calls = 0;

TEST(Plain, Passes) { EXPECT_EQ(1 + 1, 2); }

TEST(Plain, Fails) {
    std::puts("about to compare");
    EXPECT_EQ(1 + 1, 3) << "a <message> & more";
    EXPECT_TRUE(false);
}

TEST(Plain, IsSkipped) { GTEST_SKIP() << "not here"; }

TEST(Plain, DISABLED_Fails) { FAIL(); }

TEST(Plain, LeavesAProperty) { RecordProperty("answer", 42); }

TEST(DISABLED_Suite, Fails) { FAIL(); }

TEST(Data, IsRead) {
    std::string word;
    std::ifstream("data/word.txt") >> word;
    EXPECT_EQ(word, "seventeen");
}

TEST(Data, MayBeScratch) {
    std::ofstream("scratch.txt") << "text";
    EXPECT_TRUE(std::ifstream("scratch.txt").good());
}

TEST(Death, IsExpected) { EXPECT_DEATH(std::raise(SIGABRT), ""); }

class Numbers : public testing::TestWithParam<int> {};
TEST_P(Numbers, AreSmall) { EXPECT_LT(GetParam(), 7); }
TEST_P(Numbers, DISABLED_AreOdd) { EXPECT_EQ(GetParam() % 2, 1); }
INSTANTIATE_TEST_SUITE_P(UpToEight, Numbers, testing::Range(0, 9));

template <typename T>
class Types : public testing::Test {};
using Integers = testing::Types<char, int, long>;
TYPED_TEST_SUITE(Types, Integers);
TYPED_TEST(Types, HoldZero) { EXPECT_EQ(TypeParam(), 0); }

// What else goes wrong; only where it is asked for, since it ends the program.
TEST(Bad, Before) { ++calls; }
TEST(Bad, Crashes) {
    std::puts("about to crash");
    std::fflush(stdout);
    std::raise(SIGSEGV);
}
TEST(Bad, Hangs) {
    std::puts("about to hang");
    std::fflush(stdout);
    sleep(1000);
}
TEST(Bad, Exits) { _exit(3); }
TEST(Bad, ExitsAsIfAllWereWell) { _exit(0); }
TEST(Bad, After) { ++calls; }

}  // namespace
