// XEP-0313 Message Archive Management (mam:2, with #extended), of the archive of each account, and its
// preferences (XEP-0441). Keeping the messages is the server's work (users/delivery.h); here it is decided
// which, and here they are read.
//
// Known gaps: messages of group chats are not kept (6.1.1 leaves it open), so there is no include-groupchat;
// what is sent to other servers is not, as long as nothing is. The count of a page's whole list is said for
// <max>0</max> alone, and left out where counting would be a long walk.
#include "modules/archive/preferences.h"
#include "modules/refuse.h"
#include "payload/data_form.h"
#include "payload/delay.h"
#include "payload/result_set.h"
#include "payload/timestamps.h"
#include "stanza/chat_state.h"
#include "xml/namespaces.h"

namespace starling::modules {
namespace {

using namespace server;
using payload::DataForm;

constexpr std::string_view kExtended = "urn:xmpp:mam:2#extended";
constexpr std::string_view kForward = "urn:xmpp:forward:0";
constexpr std::string_view kStanzaIds = "urn:xmpp:sid:0";
constexpr std::string_view kValidate = "http://jabber.org/protocol/xdata-validate";
constexpr std::string_view kSetting = "archive";
constexpr std::size_t kPage = 50;            // unless the client says how many
constexpr std::size_t kLargestPage = 250;    // messages ...
constexpr std::size_t kPageBytes = 1 << 20;  // ... and bytes of stanzas
constexpr std::size_t kMostIds = 250;
constexpr std::size_t kCountedAtOnce = 500, kCountedAtMost = 10'000;

// What machines tell each other (XEP-0323, XEP-0325) is many, and of the moment.
bool is_of_machines(const Stanza& message) {
  return message.child("body", ns::client) == nullptr &&
         std::ranges::any_of(message.element().children(), [](const xml::Element& child) {
           return child.ns().starts_with("urn:xmpp:iot:");
         });
}

// What is worth reading later (6.1.1), unless its sender does not want it kept (XEP-0334 4.2, 4.3).
bool worth_keeping(const Stanza& message) {
  if (message.type() != Type::normal && message.type() != Type::chat) return false;
  if (message.child("no-store", ns::hints) != nullptr ||
      message.child("no-permanent-store", ns::hints) != nullptr)
    return false;
  return (has_content(message) && !is_of_machines(message)) || message.child("store", ns::hints) != nullptr;
}

// A query, as its client wrote it.
struct Query {
  storage::ArchiveQuery archive;
  std::string id;  // of the query, given back with each result; may be empty
  bool flipped = false;
  bool page_has_place = false;  // after or before something
  std::vector<std::uint64_t> must_be_there;
  [[nodiscard]] bool filtered() const {
    return !archive.with.empty() || archive.start_ms || archive.end_ms || page_has_place;
  }
};

std::int64_t milliseconds(WallTime time) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch()).count();
}

class Archive final : public Module {
 public:
  [[nodiscard]] ModuleInfo info() const override {
    return {.name = "archive",
            .summary = "keeps an account's messages, for all its clients to read again",
            .specifications = {{"XEP-0313", "1.1.3"},
                               {"XEP-0441", "0.2.0"},
                               {"XEP-0359", "0.7.0"},
                               {"XEP-0059", "1.0"},
                               {"XEP-0297", "1.0"}},
            .host_features = {},
            .account_features = {kMam, kExtended, kStanzaIds}};
  }

  void attach(Registry& registry) override {
    context_ = &registry.context();
    registry.archive([this](const Account& account, const Stanza& message, bool outward) {
      return worth_keeping(message) && keeps(account.setting(kSetting), context_->config().archive.by_default,
                                             account, outward ? message.to() : message.from());
    });
    registry.on_slow_iq(Type::set, Target::account, Access::owner, kMam, "query",
                        [this](IqRequest request) { return query(std::move(request)); });
    registry.on_iq(Type::get, Target::account, Access::owner, kMam, "query",
                   [](const IqRequest&) -> IqReply { return form(); });
    registry.on_slow_iq(Type::get, Target::account, Access::owner, kMam, "metadata",
                        [this](IqRequest request) { return metadata(std::move(request)); });
    registry.on_iq(Type::get, Target::account, Access::owner, kMam, "prefs",
                   [this](const IqRequest& request) { return preferences(request); });
    registry.on_slow_iq(Type::set, Target::account, Access::owner, kMam, "prefs",
                        [this](IqRequest request) { return set_preferences(std::move(request)); });
  }

 private:
  // --- queries (4) ---

  Task<IqReply> query(IqRequest request) {
    auto asked = parse(*request.payload, request.owner());
    if (!asked) co_return std::unexpected(std::move(asked.error()));
    const bool stable = co_await context_->all_stored();
    if (!asked->must_be_there.empty()) {
      const auto there = co_await context_->store().archive(
          {.account = asked->archive.account, .ids = asked->must_be_there});
      if (!there) co_return refuse(there.error());
    }
    if (asked->archive.limit == 0) co_return co_await count(*std::move(asked), stable);
    const Jid asker = request.stanza->from();
    const auto page = co_await context_->store().archive(asked->archive);
    if (!page) co_return refuse(page.error());
    send(asker, *asked, *page);
    payload::PageInfo info;
    if (!page->messages.empty()) {
      info.first = context_->archive_name(page->messages.front().id);
      info.last = context_->archive_name(page->messages.back().id);
    } else if (!asked->filtered()) {
      info.count = 0;
    }
    co_return fin(info, page->complete, stable);
  }

  // How many there are (XEP-0059 2.7).
  Task<IqReply> count(Query asked, bool stable) {
    payload::PageInfo info;
    if (!asked.filtered()) {
      const auto ends = co_await context_->store().archive_ends(asked.archive.account);
      if (!ends) co_return refuse(ends.error());
      info.count = ends->messages;
      co_return fin(info, ends->messages == 0, stable);
    }
    std::size_t counted = 0;
    asked.archive.limit = kCountedAtOnce;
    asked.archive.from_end = false;
    for (;;) {
      const auto page = co_await context_->store().archive(asked.archive);
      if (!page) co_return refuse(page.error());
      counted += page->messages.size();
      if (page->complete) break;
      if (counted >= kCountedAtMost) co_return fin(info, false, stable);
      asked.archive.after = page->messages.back().id;
    }
    info.count = counted;
    co_return fin(info, counted == 0, stable);
  }

  std::expected<Query, StanzaError> parse(const xml::Element& element, const Jid& owner) {
    Query query{.archive = {.account = owner.text(), .limit = kPage, .bytes = kPageBytes},
                .id = std::string(element.attribute("queryid").value_or(std::string_view())),
                .flipped = element.child("flip-page", kMam) != nullptr,
                .must_be_there = {}};
    if (const xml::Element* x = element.child("x", ns::data_forms))
      if (auto read = parse_filter(*x, query); !read) return std::unexpected(std::move(read.error()));
    if (const xml::Element* set = element.child("set", ns::result_sets))
      if (auto read = parse_page(*set, query); !read) return std::unexpected(std::move(read.error()));
    return query;
  }

  std::expected<void, StanzaError> parse_filter(const xml::Element& x, Query& query) {
    const auto form = payload::parse_data_form(x);
    if (!form || form->type != DataForm::Type::submit || form->form_type() != kMam)
      return refuse(Condition::bad_request, "The form is none of urn:xmpp:mam:2");
    for (const DataForm::Field& field : form->fields) {
      if (field.var == "FORM_TYPE") continue;
      if (auto read = parse_field(field, query); !read) return read;
    }
    return {};
  }

  std::expected<void, StanzaError> parse_field(const DataForm::Field& field, Query& query) {
    const std::string value(field.value());
    if (field.var == "with") {
      const auto with = Jid::parse(value);
      if (!with) return refuse(Condition::jid_malformed, with.error().message);
      query.archive.with = with->text();
    } else if (field.var == "start" || field.var == "end") {
      const auto time = payload::parse_timestamp(value);
      if (!time && time.error().code == Errc::limit) {  // before everything that there is, or after it
        if ((field.var == "start") == (value >= "1970"))
          query.archive.start_ms = std::numeric_limits<std::int64_t>::max();
        return {};
      }
      if (!time) return refuse(Condition::bad_request, time.error().message);
      (field.var == "start" ? query.archive.start_ms : query.archive.end_ms) = milliseconds(*time);
    } else if (field.var == "after-id") {
      return place(value, query, query.archive.after, true);
    } else if (field.var == "before-id") {
      return place(value, query, query.archive.before, false);
    } else if (field.var == "ids") {
      if (field.values.size() > kMostIds)
        return refuse(Condition::policy_violation, "These are too many ids");
      for (const std::string& name : field.values) {
        const auto id = context_->archive_id(name);
        if (!id) return not_there();
        query.archive.ids.push_back(*id);
      }
    } else {
      return refuse(Condition::feature_not_implemented, "There is no such field: " + field.var);
    }
    return {};
  }

  std::expected<void, StanzaError> parse_page(const xml::Element& set, Query& query) {
    const auto asked = payload::parse_page_request(set);
    if (!asked) return refuse(Condition::bad_request, asked.error().message);
    if (asked->index) return refuse(Condition::feature_not_implemented, "Pages begin after or before an id");
    query.archive.limit = std::min(asked->max.value_or(kPage), kLargestPage);
    if (asked->after)
      if (auto read = place(*asked->after, query, query.archive.after, true); !read) return read;
    if (!asked->before) return {};
    query.archive.from_end = true;
    if (asked->before->empty()) return {};
    return place(*asked->before, query, query.archive.before, false);
  }

  // The id is there, or the answer is an error (4.1.3, 4.3.2). Of two the stricter one counts.
  std::expected<void, StanzaError> place(std::string_view name, Query& query, std::uint64_t& bound,
                                         bool after) {
    const auto id = context_->archive_id(name);
    if (!id || *id == 0) return not_there();
    if (bound != 0) query.must_be_there = {bound, *id};
    bound = bound == 0 ? *id : after ? std::max(bound, *id) : std::min(bound, *id);
    query.page_has_place = true;
    return {};
  }

  static std::unexpected<StanzaError> not_there() {
    return modules::refuse(Condition::item_not_found, "The archive has no such message");
  }
  static std::unexpected<StanzaError> refuse(const Error& error) {
    return error.code == Errc::not_found ? not_there() : refuse_for_now();
  }
  static std::unexpected<StanzaError> refuse(Condition condition, std::string text) {
    return modules::refuse(condition, std::move(text));
  }

  // --- answers ---

  // 4.2: each message in one of the archive's own, before the query's result.
  void send(const Jid& asker, const Query& query, const storage::ArchivePage& page) {
    Account* account = context_->loaded(asker);
    Session* session = account != nullptr ? account->session(asker.resource()) : nullptr;
    if (session == nullptr) return;  // it has gone meanwhile
    std::string text;
    for (std::size_t i = 0; i < page.messages.size(); ++i) {
      text.clear();
      write_result(text, asker, query, page.messages[query.flipped ? page.messages.size() - 1 - i : i]);
      session->deliver_text(text);
    }
  }

  void write_result(std::string& out, const Jid& asker, const Query& query,
                    const storage::ArchivedMessage& message) {
    xml::Writer writer(out, ns::client);
    writer.open("message").attribute("from", asker.bare()).attribute("to", asker.text());
    writer.open("result", kMam).attribute_if("queryid", query.id);
    writer.attribute("id", context_->archive_name(message.id)).open("forwarded", kForward);
    payload::write(
        writer, payload::Delay{.from = {}, .stamp = WallTime(Milliseconds(message.stamp_ms)), .reason = {}});
    // As it is stored, it is in the namespace of a client's stream, and says so nowhere.
    constexpr std::string_view kTag = "<message";
    writer.raw(kTag).raw(" xmlns='").raw(ns::client).raw("'");
    writer.raw(std::string_view(message.stanza).substr(kTag.size()));
    writer.close().close().close();
  }

  // 4.3.2; what waits for a store that does not work is missing.
  static std::string fin(const payload::PageInfo& info, bool complete, bool stable) {
    std::string out;
    xml::Writer writer(out, ns::client);
    writer.open("fin", kMam).attribute_if("complete", complete ? "true" : "");
    writer.attribute_if("stable", stable ? "" : "false");
    payload::write(writer, info);
    writer.close();
    return out;
  }

  // 4.1.5
  static std::string form() {
    std::string out;
    xml::Writer writer(out, ns::client);
    writer.open("query", kMam).open("x", ns::data_forms).attribute("type", "form");
    writer.open("field").attribute("type", "hidden").attribute("var", "FORM_TYPE");
    writer.leaf("value", kMam).close();
    const auto field = [&](std::string_view type, std::string_view name) {
      writer.open("field").attribute("type", type).attribute("var", name);
    };
    field("jid-single", "with");
    writer.close();
    for (const char* name : {"start", "end", "before-id", "after-id"}) {
      field("text-single", name);
      writer.close();
    }
    field("list-multi", "ids");
    writer.open("validate", kValidate).attribute("datatype", "xs:string").leaf("open").close();
    writer.close().close().close();
    return out;
  }

  // 5
  Task<IqReply> metadata(IqRequest request) {
    co_await context_->all_stored();
    const auto ends = co_await context_->store().archive_ends(request.owner().text());
    if (!ends) co_return refuse(ends.error());
    std::string out;
    xml::Writer writer(out, ns::client);
    writer.open("metadata", kMam);
    for (const auto& [name, end] : {std::pair("start", ends->first), std::pair("end", ends->last)}) {
      if (!end) continue;
      writer.open(name)
          .attribute("id", context_->archive_name(end->id))
          .attribute("timestamp", payload::timestamp(WallTime(Milliseconds(end->stamp_ms))))
          .close();
    }
    writer.close();
    co_return out;
  }

  // --- preferences (XEP-0441 2.1) ---

  IqReply preferences(const IqRequest& request) {
    return ArchivePreferences::decode(request.account->setting(kSetting),
                                      context_->config().archive.by_default)
        .xml();
  }

  Task<IqReply> set_preferences(IqRequest request) {
    const auto wanted = ArchivePreferences::parse(*request.payload);
    if (!wanted) co_return std::unexpected(wanted.error());
    const Jid owner = request.owner();
    storage::Batch batch;
    batch.emplace_back(
        storage::PutValue{owner.text(), std::string(kSettingKind), std::string(kSetting), wanted->encode()});
    if (!co_await context_->store().commit(std::move(batch))) co_return refuse_for_now();
    if (Account* account = context_->loaded(owner)) account->setting_changed(kSetting, wanted->encode());
    co_return wanted->xml();
  }

  Context* context_ = nullptr;
};

}  // namespace

std::unique_ptr<Module> archive() { return std::make_unique<Archive>(); }

}  // namespace starling::modules
