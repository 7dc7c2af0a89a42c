// Shows a PNG to somebody, or saves the next picture that we are shown: a message names it by the hash of its
// data, and whoever gets the message asks for the data (XEP-0231).
#include <cstdio>
#include <fstream>
#include <iterator>

#include "arguments.h"
#include "client/client.h"
#include "client/ext/bits_of_binary.h"

using namespace starling;
using client::BitsOfBinary;

namespace {

constexpr std::string_view kXhtmlIm = "http://jabber.org/protocol/xhtml-im";  // XEP-0071

// Of the first picture in there that is named by its hash; empty if there is none.
std::string_view cid_in(const xml::Element& element) {
  static constexpr std::string_view kScheme = "cid:";
  const auto source = element.name() == "img" ? element.attribute("src").value_or("") : "";
  if (source.starts_with(kScheme)) return source.substr(kScheme.size());
  for (const auto& child : element.children())
    if (const auto found = cid_in(child); !found.empty()) return found;
  return {};
}

void show(client::Client& client, BitsOfBinary& bob, const Jid& to, std::string picture, bool& done) {
  const auto cid = bob.publish({.data = std::move(picture), .type = "image/png"});
  if (!cid) {
    std::fprintf(stderr, "%s\n", cid.error().message.c_str());
    return client.close();
  }
  bob.given([&client, &done](const Jid& whom, std::string_view given) {
    std::printf("%s has seen %s\n", whom.text().c_str(), std::string(given).c_str());
    done = true;
    client.close();
  });
  client.send(client::Message{
      .to = to,
      .body = "Look, a picture",
      .extra = "<html xmlns='http://jabber.org/protocol/xhtml-im'><body xmlns='http://www.w3.org/1999/xhtml'>"
               "<p><img alt='a picture' src='cid:" +
               *cid + "'/></p></body></html>"});
}

// Whether it could.
bool save(const client::Outcome<BitsOfBinary::Bits>& picture, const std::string& path) {
  if (!picture) {
    std::fprintf(stderr, "%s\n", picture.error().message().c_str());
    return false;
  }
  std::ofstream file(path, std::ios::binary);
  if (!(file << picture->data).flush()) {
    std::perror(path.c_str());
    return false;
  }
  std::printf("%s %s\n", picture->type.c_str(), picture->cid.c_str());
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  auto arguments =
      examples::read_arguments(argc, argv,
                               "-j JID [-p PASSWORD] -f FILE [-t TO] [--connect HOST:PORT] [--ca FILE]\n"
                               "FILE is shown to TO; without, what is shown to us is saved in FILE",
                               {"-f"}, {"-t"});
  if (!arguments) return 2;
  auto& more = arguments->more;
  const std::string path = more["-f"];
  const bool shows = more.contains("-t");
  const auto to = Jid::parse(more["-t"]);
  if (shows && !to) {
    std::fprintf(stderr, "%s\n", to.error().message.c_str());
    return 2;
  }
  std::string picture;
  if (shows) {
    std::ifstream file(path, std::ios::binary);
    picture.assign(std::istreambuf_iterator<char>(file), {});
    if (!file) {
      std::perror(path.c_str());
      return 2;
    }
  }
  std::setvbuf(stdout, nullptr, _IOLBF, BUFSIZ);  // a line at a time, also into files

  client::Client client(std::move(arguments->login));
  auto& bob = client.use<BitsOfBinary>();
  bool done = false;
  client.on.session_start([&] {
    client.send(client::Presence{});
    if (!shows) return void(std::printf("waiting as %s\n", client.jid().text().c_str()));
    show(client, bob, *to, std::move(picture), done);
  });
  client.on.message([&](const Stanza& message) {
    if (message.type() == Type::error) {
      std::fprintf(stderr, "%s\n",
                   client::RequestError{.error = client::error_of(message)}.message().c_str());
      return client.close();
    }
    const auto* html = message.child("html", kXhtmlIm);
    const std::string cid(html != nullptr ? cid_in(*html) : "");
    if (shows || cid.empty()) return;
    bob.fetch(message.from(), cid).then([&](const client::Outcome<BitsOfBinary::Bits>& picture) {
      done = save(picture, path);
      client.close();
    });
  });
  const client::Ended ended = client.run();
  if (ended.why != client::Ended::Why::closed) std::fprintf(stderr, "%s\n", ended.text.c_str());
  return examples::exit_code(ended, done);
}
