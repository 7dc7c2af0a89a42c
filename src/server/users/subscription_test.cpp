// The whole of RFC 6121 appendix A: each state, each stanza type, both directions, as the RFC's tables have
// it.
#include "server/users/subscription.h"

#include <gtest/gtest.h>

namespace starling::server {
namespace {

// The RFC's names of the nine states (A.1).
Subscription state(std::string_view name) {
  Subscription s;
  if (name.starts_with("Both")) s.to = s.from = true;
  if (name.starts_with("To")) s.to = true;
  if (name.starts_with("From")) s.from = true;
  s.pending_out = name.find("Out") != std::string_view::npos;
  s.pending_in = name.find("In") != std::string_view::npos;
  return s;
}

struct Row {
  std::string_view from;
  bool pass;
  std::string_view to;
};
constexpr std::string_view kNone = "None", kOut = "None + Pending Out", kIn = "None + Pending In",
                           kOutIn = "None + Pending Out+In", kTo = "To", kToIn = "To + Pending In",
                           kFrom = "From", kFromOut = "From + Pending Out", kBoth = "Both";

void check(Transition (*move)(Type, Subscription), Type type, const std::vector<Row>& rows) {
  ASSERT_EQ(rows.size(), 9U);
  for (const Row& row : rows) {
    const Transition got = move(type, state(row.from));
    EXPECT_EQ(got.pass, row.pass) << to_string(type) << " in " << row.from;
    EXPECT_TRUE(got.next == state(row.to)) << to_string(type) << " in " << row.from;
  }
}

TEST(SubscriptionTest, OutboundSubscribe) {  // A.2.1
  check(outbound, Type::subscribe,
        {{kNone, true, kOut},
         {kOut, true, kOut},
         {kIn, true, kOutIn},
         {kOutIn, true, kOutIn},
         {kTo, true, kTo},
         {kToIn, true, kToIn},
         {kFrom, true, kFromOut},
         {kFromOut, true, kFromOut},
         {kBoth, true, kBoth}});
}

TEST(SubscriptionTest, OutboundUnsubscribe) {  // A.2.2
  check(outbound, Type::unsubscribe,
        {{kNone, true, kNone},
         {kOut, true, kNone},
         {kIn, true, kIn},
         {kOutIn, true, kIn},
         {kTo, true, kNone},
         {kToIn, true, kIn},
         {kFrom, true, kFrom},
         {kFromOut, true, kFrom},
         {kBoth, true, kFrom}});
}

TEST(SubscriptionTest, OutboundUnsubscribed) {  // A.2.4
  check(outbound, Type::unsubscribed,
        {{kNone, false, kNone},
         {kOut, false, kOut},
         {kIn, true, kNone},
         {kOutIn, true, kOut},
         {kTo, false, kTo},
         {kToIn, true, kTo},
         {kFrom, true, kNone},
         {kFromOut, true, kOut},
         {kBoth, true, kTo}});
}

TEST(SubscriptionTest, OutboundSubscribed) {  // A.2.3, with the pre-approval of 3.4.2 where nobody asked
  struct ApprovedRow {
    std::string_view from;
    bool pass;
    std::string_view to;
    bool approved;
  };
  for (const ApprovedRow& row : std::vector<ApprovedRow>{{kNone, false, kNone, true},
                                                         {kOut, false, kOut, true},
                                                         {kIn, true, kFrom, false},
                                                         {kOutIn, true, kFromOut, false},
                                                         {kTo, false, kTo, true},
                                                         {kToIn, true, kBoth, false},
                                                         {kFrom, false, kFrom, false},
                                                         {kFromOut, false, kFromOut, false},
                                                         {kBoth, false, kBoth, false}}) {
    const Transition got = outbound(Type::subscribed, state(row.from));
    Subscription expected = state(row.to);
    expected.approved = row.approved;
    EXPECT_EQ(got.pass, row.pass) << row.from;
    EXPECT_TRUE(got.next == expected) << row.from;
  }
}

TEST(SubscriptionTest,
     InboundSubscribe) {  // A.3.1; note 2: an existing subscription is confirmed for the user
  check(inbound, Type::subscribe,
        {{kNone, true, kIn},
         {kOut, true, kOutIn},
         {kIn, false, kIn},
         {kOutIn, false, kOutIn},
         {kTo, true, kToIn},
         {kToIn, false, kToIn},
         {kFrom, false, kFrom},
         {kFromOut, false, kFromOut},
         {kBoth, false, kBoth}});
  for (const auto name : {kFrom, kFromOut, kBoth})
    EXPECT_TRUE(inbound(Type::subscribe, state(name)).reply) << name;
  for (const auto name : {kNone, kOut, kIn, kOutIn, kTo, kToIn})
    EXPECT_FALSE(inbound(Type::subscribe, state(name)).reply) << name;
}

TEST(SubscriptionTest, InboundSubscribeWithPreApproval) {  // 3.4.2
  Subscription approved = state(kTo);
  approved.approved = true;
  const Transition got = inbound(Type::subscribe, approved);
  EXPECT_TRUE(got.reply);
  EXPECT_FALSE(got.pass);
  EXPECT_TRUE(got.next == state(kBoth));
}

TEST(SubscriptionTest, InboundUnsubscribe) {  // A.3.2
  check(inbound, Type::unsubscribe,
        {{kNone, false, kNone},
         {kOut, false, kOut},
         {kIn, true, kNone},
         {kOutIn, true, kOut},
         {kTo, false, kTo},
         {kToIn, true, kTo},
         {kFrom, true, kNone},
         {kFromOut, true, kOut},
         {kBoth, true, kTo}});
}

TEST(SubscriptionTest, InboundSubscribed) {  // A.3.3
  check(inbound, Type::subscribed,
        {{kNone, false, kNone},
         {kOut, true, kTo},
         {kIn, false, kIn},
         {kOutIn, true, kToIn},
         {kTo, false, kTo},
         {kToIn, false, kToIn},
         {kFrom, false, kFrom},
         {kFromOut, true, kBoth},
         {kBoth, false, kBoth}});
}

TEST(SubscriptionTest, InboundUnsubscribed) {  // A.3.4
  check(inbound, Type::unsubscribed,
        {{kNone, false, kNone},
         {kOut, true, kNone},
         {kIn, false, kIn},
         {kOutIn, true, kIn},
         {kTo, true, kNone},
         {kToIn, true, kIn},
         {kFrom, false, kFrom},
         {kFromOut, true, kFrom},
         {kBoth, true, kFrom}});
}

}  // namespace
}  // namespace starling::server
