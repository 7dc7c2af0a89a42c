#pragma once
// Entity Capabilities (XEP-0115): our own as a hash in our presence, and those of contacts from theirs, so
// that each kind of software is asked once. What proves its hash holds for all who announce the same (5.4);
// what does not, for who said it alone. Known gaps: the format without hash (section 13) is not read; when
// features change in the middle of a session, the next presence tells, which is for the program to send
// (6.1).
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "client/bounded_map.h"
#include "client/ext/disco.h"

namespace starling::client {

class Caps final : public Extension {
 public:
  static constexpr std::string_view kNode = "https://starling.im/client";

  explicit Caps(Client& client);
  [[nodiscard]] Info info() const override;

  // What somebody can do, without asking where it is known. Whoever has announced nothing is asked all the
  // same.
  Request<payload::DiscoInfo> info_of(const Jid& full);
  // The same without asking at all; nullptr when it is not known.
  [[nodiscard]] const payload::DiscoInfo* known(const Jid& full) const;

 private:
  struct Announced {
    std::string node, hash, ver;
    std::shared_ptr<const payload::DiscoInfo> info;  // unproved: said by this one
    [[nodiscard]] std::string key() const { return hash + ' ' + ver; }
  };
  struct Waiting {
    Jid whom;
    std::string node;
    Request<payload::DiscoInfo>::Resolver resolve;
  };

  void announced(const Jid& who, const xml::Element* c);
  void ask(const std::string& key);
  void answered(const std::string& key, Outcome<Disco::Answer> outcome);
  void remember(const Jid& whom, const std::string& key, const payload::DiscoInfo& info, bool proved);

  Client& client_;
  Disco& disco_;
  BoundedMap<Announced> announced_;                               // by address
  BoundedMap<std::shared_ptr<const payload::DiscoInfo>> proved_;  // by hash and ver
  std::map<std::string, std::vector<Waiting>> waiting_;           // ... the first is being asked
};

}  // namespace starling::client
