#pragma once
// Service Discovery (XEP-0030): asks others what they are and can do (3) and what belongs to them (4), and
// tells the same of us to anybody who asks. What we can do is the sum of what the extensions in use say of
// themselves.
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "client/bounded_map.h"
#include "client/client.h"
#include "payload/disco_info.h"

namespace starling::client {

struct DiscoItem {
  Jid jid;
  std::string node, name;
  bool operator==(const DiscoItem&) const = default;
};

class Disco final : public Extension {
 public:
  explicit Disco(Client& client);
  [[nodiscard]] Info info() const override;

  // --- asking ---
  // Without a node, what a full address or a domain has said is remembered until it goes offline or the
  // session ends.
  Request<payload::DiscoInfo> info(const Jid& of, std::string_view node = {});
  // Items without a valid address are left out.
  Request<std::vector<DiscoItem>> items(const Jid& of, std::string_view node = {});
  void forget(const Jid& of) { cache_.erase(of.text()); }

  struct Answer {
    payload::DiscoInfo info;
    bool well_formed = true;  // false: something came twice, which XEP-0115 5.4 does not take
  };
  // Always asks; for entity capabilities.
  Request<Answer> ask(const Jid& of, std::string_view node = {});

  Signal<const Jid&, const payload::DiscoInfo&> disco_info{"disco_info"};  // has come, of whom

  // --- answering ---
  void set_identity(std::string category, std::string type, std::string name = {});  // else: client, bot
  void add_feature(std::string feature);  // that no extension tells
  [[nodiscard]] payload::DiscoInfo own() const;

  // What stands below a node of ours, for whoever asks; the first to know the node has the word. Others
  // hear that there is no such thing.
  struct Node {
    payload::DiscoInfo info;
    std::vector<DiscoItem> items{};
  };
  using FindNode = std::function<std::optional<Node>(const Jid& asking, std::string_view node)>;
  void on_node(FindNode find) { nodes_.push_back(std::move(find)); }

 private:
  void answer(const Stanza& iq, const Responder& respond, std::string_view ns) const;

  Client& client_;
  std::vector<payload::DiscoInfo::Identity> identities_;
  std::vector<std::string> features_;
  std::deque<FindNode> nodes_;  // stay where they are while one of them adds another
  BoundedMap<payload::DiscoInfo> cache_;
};

}  // namespace starling::client
