// SPDX-License-Identifier: MIT
#include "dist/tcp_store.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <random>
#include <thread>

#include "tests/dist/on_ranks.h"

namespace convoy::dist {
namespace {

using namespace std::chrono_literals;
using testing::error_of;
using testing::exchange;
using testing::expect_says;
using testing::on_ranks;

// A port of the test's own for as long as it lives.
struct Port {
  explicit Port(const std::string& host = "127.0.0.1")
      : reserved(reserve_port(host)), endpoint{host, port_of(reserved)} {}
  Place place(int rank = 0, int world_size = 1, const std::string& job = "job 7") const {
    return {.rank = rank,
            .world_size = world_size,
            .init = fmt::format("tcp://{}", endpoint),
            .job = job};
  }
  Socket reserved;
  Endpoint endpoint;
};

Socket connected(const Endpoint& endpoint) {
  std::string why;
  Socket socket = connect_to(endpoint, 5000, why);
  EXPECT_TRUE(socket.is_open()) << why;
  return socket;
}

void send_bytes(const Socket& socket, const std::string& bytes) {
  for (std::size_t at = 0; at < bytes.size();) {
    const long sent = send_some(socket, bytes.data() + at, bytes.size() - at);
    if (sent < 0) return;
    at += static_cast<std::size_t>(sent);
    if (sent == 0) wait_writable(socket, 100);
  }
}

// What comes until the connection ends, or nothing comes for two seconds.
std::string received(const Socket& socket) {
  std::string all;
  char bytes[1000];
  while (wait_readable(socket, 2000)) {
    const long got = receive_some(socket, bytes, sizeof bytes);
    if (got < 0) break;
    all.append(bytes, static_cast<std::size_t>(got));
  }
  return all;
}

std::string random_bytes(std::mt19937& random, std::size_t count) {
  std::string bytes(count, '\0');
  for (char& c : bytes) c = static_cast<char>(random());
  return bytes;
}

TEST(TcpStore, GivesEachRankWhatTheOthersHaveSet) {
  for (const int world_size : {1, 2, 5}) {
    const Port port;
    const auto seen = on_ranks(world_size, port.place(), [&](int rank, Store& store) {
      return exchange(rank, world_size, store);
    });
    EXPECT_EQ(seen, std::vector<std::string>(static_cast<std::size_t>(world_size),
                                             std::string("abcde").substr(0, world_size)));
  }
}

TEST(TcpStore, TakesAnyBytesAndReplacesThem) {
  const Port port;
  const auto store = open_store(port.place(), 20s);
  EXPECT_EQ(store->get("absent"), std::nullopt);
  for (const std::string& value : {std::string(), std::string(65536, '\0'), std::string("\n")}) {
    for (const std::string& key : {std::string("a"), std::string(256, '\xff')}) {
      store->set(key, value);
      EXPECT_EQ(store->get(key), value);
    }
  }
  EXPECT_THROW(store->set("", ""), Error);
  EXPECT_THROW(store->set(std::string(257, 'x'), ""), Error);
  EXPECT_THROW(store->set("x", std::string(65537, 'x')), Error);
  EXPECT_EQ(store->get("x"), std::nullopt);
}

TEST(TcpStore, ServesManyThreadsOfARank) {
  const Port port;
  const auto store = open_store(port.place(), 20s);
  std::vector<std::jthread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 200; ++i) {
        store->set(std::to_string(t), std::to_string(i));
        EXPECT_EQ(store->get(std::to_string(t)), std::to_string(i));
      }
    });
  }
}

TEST(TcpStore, ServesAtIpv6sLoopback) {
  std::unique_ptr<Port> port;
  try {
    port = std::make_unique<Port>("::1");
  } catch (const Error&) {
    GTEST_SKIP() << "this machine has no IPv6";
  }
  EXPECT_EQ(open_store(port->place(), 20s)->get("x"), std::nullopt);
}

TEST(TcpStore, RanksThatComeBeforeRank0WaitForIt) {
  const Port port;
  std::unique_ptr<Store> rank0;
  std::jthread rank1(
      [&] { EXPECT_EQ(open_store(port.place(1, 2), 20s)->wait("late", 20s), "value"); });
  std::this_thread::sleep_for(100ms);
  rank0 = open_store(port.place(0, 2), 20s);
  rank0->set("late", "value");
  rank1.join();
}

TEST(TcpStore, SaysWhereItLookedForRank0) {
  const Port port;
  const auto start = std::chrono::steady_clock::now();
  const std::string text = error_of([&] { open_store(port.place(1, 2), 300ms); });
  EXPECT_LT(std::chrono::steady_clock::now() - start, 3s);
  expect_says(text, fmt::format("rank 1 expects rank 0 at {} within 0.3 s", port.endpoint));
  expect_says(text, "Connection refused; is rank 0 running there?");
}

TEST(TcpStore, SaysThatThePortIsTaken) {
  const Port port;
  const Socket other = listen_at(port.endpoint);
  const std::string text = error_of([&] { open_store(port.place(), 300ms); });
  expect_says(text, fmt::format("port {} at 127.0.0.1", port.endpoint.port));
  expect_says(text, "choose another MASTER_PORT");
}

TEST(TcpStore, SaysThatAnotherProgramAnswers) {
  const Port port;
  const Socket other = listen_at(port.endpoint);
  std::jthread program([&] {
    ASSERT_TRUE(wait_readable(other, 20000));
    const Socket client(accept(other.descriptor(), nullptr, nullptr));
    send_bytes(client, "SSH-2.0-OpenSSH_9.2p1\r\n");
    received(client);
  });
  expect_says(error_of([&] { open_store(port.place(1, 2), 20s); }), "found another program");
}

TEST(TcpStore, RefusesWhoIsNoRankOfThisJobAndGoesOn) {
  const Port port;
  const auto rank0 = open_store(port.place(0, 3), 20s);
  const auto refusal = [&](const Place& place) {
    return error_of([&] { open_store(place, 20s); });
  };
  expect_says(refusal(port.place(1, 3, "job 8")), "this port belongs to another job");
  expect_says(refusal(port.place(1, 4)), "rank 1 has been started with 4 ranks, rank 0 with 3");
  expect_says(refusal(port.place(3, 3)), "there is no rank 3 among 3");
  std::jthread rest([&] { open_store(port.place(2, 3), 20s); });
  {
    const auto rank1 = open_store(port.place(1, 3), 20s);
    expect_says(refusal(port.place(1, 3)), "another process is, or was, rank 1");
    rank1->set("still", "here");
  }
  EXPECT_EQ(rank0->get("still"), "here");
  EXPECT_EQ(rank0->get(gone_key(1)), std::nullopt) << "a goodbye is no loss";
}

// Requests of theirs get one refusal and the end; partial ones nothing at all.
TEST(TcpStore, RefusesGarbageAndGoesOn) {
  const Port port;
  const auto rank0 = open_store(port.place(0, 1), 20s);
  std::mt19937 random(7);
  const std::string hello = hello_frame({0, 1, "job 7"});
  std::vector<Socket> partial;
  for (int i = 0; i < 30; ++i) {
    const Socket stranger = connected(port.endpoint);
    send_bytes(stranger, i % 3 == 0   ? std::string("\xff\xff\xff\x7f", 4)  // a length of 2 GiB
                         : i % 3 == 1 ? set_frame("value", "stolen")        // no greeting
                                      : "GET / HTTP/1.1\r\n\r\n");
    const std::string answer = received(stranger);
    ASSERT_GT(answer.size(), 5u) << i;
    EXPECT_EQ(answer[4], static_cast<char>(FrameKind::refused));
    partial.push_back(connected(port.endpoint));
    send_bytes(partial.back(), hello.substr(0, random() % hello.size()));
    rank0->set("value", std::to_string(i));
    EXPECT_EQ(rank0->get("value"), std::to_string(i));
  }
}

// More strangers than are let wait: the oldest go, and a rank still comes in.
TEST(TcpStore, StrangersKeepNoRankOut) {
  const Port port;
  const auto rank0 = open_store(port.place(0, 2), 20s);
  std::vector<Socket> strangers;
  for (int i = 0; i < 3 * StoreServer::kMaxStrangers; ++i) {
    strangers.push_back(connected(port.endpoint));
  }
  open_store(port.place(1, 2), 20s)->set("from", "rank 1");
  EXPECT_EQ(rank0->get("from"), "rank 1");
  int dropped = 0;
  for (const Socket& stranger : strangers) {
    char byte;
    dropped += receive_some(stranger, &byte, 1) < 0 ? 1 : 0;
  }
  EXPECT_GE(dropped, 2 * StoreServer::kMaxStrangers - 1);
}

TEST(StoreServer, DropsWhoDoesNotSayWhoHeIs) {
  const Port port;
  StoreServer server(listen_at(port.endpoint), 1, "", 100ms);
  const Socket silent = connected(port.endpoint);
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(received(silent), "");
  EXPECT_LT(std::chrono::steady_clock::now() - start, 1900ms) << "the connection stayed open";
}

TEST(TcpStore, NoticesARankThatGoesWithoutAGoodbye) {
  const Port port;
  const auto rank0 = open_store(port.place(0, 3), 20s);
  {
    const Socket rank2 = connected(port.endpoint);
    send_bytes(rank2, hello_frame({2, 3, "job 7"}));
    ASSERT_TRUE(wait_readable(rank2, 20000));
  }
  EXPECT_EQ(rank0->wait(gone_key(2), 20s), "");
  EXPECT_EQ(rank0->get(gone_key(1)), std::nullopt);
  expect_says(error_of([&] { open_store(port.place(2, 3), 20s); }), "is, or was, rank 2");
}

// A rank that has been let in and then talks nonsense is lost, the store is not.
TEST(TcpStore, ARankThatSendsGarbageIsGone) {
  const Port port;
  const auto rank0 = open_store(port.place(0, 2), 20s);
  const Socket rank1 = connected(port.endpoint);
  send_bytes(rank1, hello_frame({1, 2, "job 7"}) + frame(static_cast<FrameKind>('?')));
  EXPECT_EQ(rank0->wait(gone_key(1), 20s), "");
}

// Asks for 64 KiB 20000 times and reads nothing: answers must not pile up at rank 0.
TEST(TcpStore, ARankThatNeverListensFillsNothing) {
  const Port port;
  const auto rank0 = open_store(port.place(0, 2), 20s);
  rank0->set("large", std::string(65536, 'x'));
  const Socket rank1 = connected(port.endpoint);
  std::string requests;
  for (int i = 0; i < 20000; ++i) requests += frame(FrameKind::get, "large");
  send_bytes(rank1, hello_frame({1, 2, "job 7"}));
  std::size_t at = 0;
  for (int stuck = 0; at < requests.size() && stuck < 3;) {
    const long sent = send_some(rank1, requests.data() + at, requests.size() - at);
    ASSERT_GE(sent, 0);
    at += static_cast<std::size_t>(sent);
    stuck = sent > 0 || wait_writable(rank1, 100) ? 0 : stuck + 1;
    EXPECT_EQ(rank0->get("large")->size(), 65536u);
  }
}

TEST(TcpStore, SaysThatRank0IsLost) {
  Port port;
  auto server = std::make_unique<StoreServer>(listen_at(port.endpoint), 2, "job 7");
  TcpStore rank1(port.endpoint, port.place(1, 2), 20s);
  rank1.set("a", "b");
  server.reset();
  try {
    rank1.get("a");
    FAIL();
  } catch (const StoreLost& lost) {
    EXPECT_TRUE(lost.closed());
    expect_says(lost.what(), fmt::format("rank 0 at {} closed the connection", port.endpoint));
  }
  EXPECT_THROW(rank1.set("a", "c"), StoreLost);
}

TEST(TcpStore, SaysThatRank0IsSilent) {
  Port port;
  const Socket listening = listen_at(port.endpoint);
  Socket server;
  std::jthread accepting([&] {
    wait_readable(listening, 20000);
    server = Socket(accept(listening.descriptor(), nullptr, nullptr));
    send_bytes(server, frame(FrameKind::done));
  });
  TcpStore rank1(port.endpoint, port.place(1, 2), 300ms);
  accepting.join();
  const auto start = std::chrono::steady_clock::now();
  try {
    rank1.get("a");
    FAIL();
  } catch (const StoreLost& lost) {
    EXPECT_FALSE(lost.closed());
    expect_says(lost.what(), "has not answered for 0.3 s");
  }
  EXPECT_LT(std::chrono::steady_clock::now() - start, 2s);
}

// 10000 sessions of random bytes, of frames with random contents and of cut or changed greetings.
TEST(StoreSession, AnyBytesAreRefusedInBoundedMemory) {
  std::mt19937 random(11);
  StoreValues values(2, "job");
  const std::string good = hello_frame({1, 2, "another"});
  for (int i = 0; i < 10000; ++i) {
    StoreSession session(values);
    std::string bytes = random_bytes(random, 1 + random() % 300);
    if (i % 3 == 1) bytes = frame(static_cast<FrameKind>("HSGB"[random() % 4]), bytes);
    if (i % 3 == 2) {
      bytes = good;
      bytes[4 + random() % (good.size() - 4)] ^= static_cast<char>(1 + random() % 255);
    }
    std::size_t answered = 0;
    for (std::size_t at = 0; at < bytes.size(); at += 7) {
      session.take(std::string_view(bytes).substr(at, 7));
      while (const auto answer = session.answer()) answered += answer->size();
    }
    EXPECT_LE(answered, 300u);
    EXPECT_FALSE(session.is_rank()) << i;
    session.disconnected();
  }
  EXPECT_EQ(values.present(), 0);
}

TEST(StoreValues, HaveAnEnd) {
  StoreValues values(1, "");
  int taken = 0;
  while (taken < 2000 && values.set(std::to_string(taken), std::string(65536, 'x'))) ++taken;
  EXPECT_GT(taken, 1000);
  EXPECT_LT(taken, 1030);
  EXPECT_TRUE(values.set("0", "smaller")) << "what is replaced makes room";
  EXPECT_TRUE(values.set("more", std::string(60000, 'x')));
}

TEST(Socket, ReadsEndpoints) {
  EXPECT_EQ(tcp_endpoint("tcp://host.example:29500"), (Endpoint{"host.example", 29500}));
  EXPECT_EQ(tcp_endpoint("tcp://[fe80::1]:1"), (Endpoint{"fe80::1", 1}));
  EXPECT_EQ(to_text(Endpoint{"fe80::1", 1}), "[fe80::1]:1");
  for (const char* bad : {"tcp://", "tcp://host", "tcp://:1", "tcp://host:", "tcp://host:0",
                          "tcp://host:65536", "tcp://host:1x", "host:1", "udp://host:1"}) {
    expect_says(error_of([&] { tcp_endpoint(bad); }), "expects tcp://host:port");
  }
}

}  // namespace
}  // namespace convoy::dist
