#include "stanza/error.h"

#include <gtest/gtest.h>

#include "xml/namespaces.h"
#include "xml/parser.h"

namespace starling {
namespace {

TEST(StanzaError, EveryConditionHasItsName) {
  for (int i = 0; i <= static_cast<int>(Condition::unexpected_request); ++i) {
    const auto condition = static_cast<Condition>(i);
    EXPECT_EQ(parse_condition(to_string(condition)), condition);
  }
  EXPECT_EQ(to_string(Condition::remote_server_not_found), "remote-server-not-found");
  EXPECT_EQ(to_string(Condition::unexpected_request), "unexpected-request");
  EXPECT_EQ(parse_condition("payment-required"), std::nullopt);  // RFC 3920 had it
}

TEST(StanzaError, TypesAreThoseOfTheRfc) {
  EXPECT_EQ(default_type(Condition::bad_request), ErrorType::modify);
  EXPECT_EQ(default_type(Condition::forbidden), ErrorType::auth);
  EXPECT_EQ(default_type(Condition::item_not_found), ErrorType::cancel);
  EXPECT_EQ(default_type(Condition::remote_server_timeout), ErrorType::wait);
  EXPECT_EQ(default_type(Condition::service_unavailable), ErrorType::cancel);
  EXPECT_EQ(default_type(Condition::unexpected_request), ErrorType::wait);
}

TEST(StanzaError, IsWrittenInTheWritersNamespace) {
  std::string out;
  xml::Writer writer(out, ns::client);
  write_error(writer,
              {.condition = Condition::not_allowed,
               .text = "5 < 6",
               .type = ErrorType::continue_,
               .application = "<too-many xmlns='urn:example:errors'/>"},
              "a.example");
  EXPECT_EQ(out,
            "<error type='continue' by='a.example'><not-allowed xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>"
            "<text xmlns='urn:ietf:params:xml:ns:xmpp-stanzas' xml:lang='en'>5 &lt; 6</text>"
            "<too-many xmlns='urn:example:errors'/></error>");
  out.clear();
  write_error(writer, {.condition = Condition::conflict});
  EXPECT_EQ(out, "<error type='cancel'><conflict xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>");
}

TEST(StreamError, EveryConditionHasItsName) {
  for (int i = 0; i <= static_cast<int>(StreamCondition::unsupported_version); ++i) {
    const auto condition = static_cast<StreamCondition>(i);
    EXPECT_EQ(parse_stream_condition(to_string(condition)), condition);
  }
  EXPECT_EQ(to_string(StreamCondition::not_well_formed), "not-well-formed");
  EXPECT_EQ(to_string(StreamCondition::unsupported_version), "unsupported-version");
  EXPECT_EQ(parse_stream_condition("xml-not-well-formed"), std::nullopt);  // RFC 3920's name
}

TEST(StreamError, IsReadableUnderAHeader) {
  std::string out;
  write_stream_error(out, {.condition = StreamCondition::policy_violation, .text = "too big"});
  EXPECT_EQ(out,
            "<stream:error><policy-violation xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>"
            "<text xmlns='urn:ietf:params:xml:ns:xmpp-streams' xml:lang='en'>too big</text></stream:error>");
}

}  // namespace
}  // namespace starling
