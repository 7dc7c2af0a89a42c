// Sends a file to somebody, or saves the next one that comes, inside of stanzas (XEP-0047): slow, but it gets
// through wherever messages do.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <utility>

#include "arguments.h"
#include "client/client.h"
#include "client/ext/in_band_bytestreams.h"

using namespace starling;
using client::InBandBytestreams;

namespace {

void send(client::Client& client, const Jid& to, std::ifstream& file, bool& done) {
  std::string data(std::istreambuf_iterator<char>(file), {});
  const std::size_t size = data.size();
  client.use<InBandBytestreams>()
      .send(to, std::move(data))
      .then([&client, &done, size](const client::Outcome<void>& sent) {
        done = sent.has_value();
        if (done)
          std::printf("sent %zu bytes\n", size);
        else
          std::fprintf(stderr, "%s\n", sent.error().message().c_str());
        client.close();
      });
}

void receive(client::Client& client, std::ofstream& file, bool& done) {
  using Stream = InBandBytestreams::Stream;
  using Closed = InBandBytestreams::Closed;
  auto& ibb = client.use<InBandBytestreams>();
  ibb.accept = [taken = false](const Stream&) mutable { return !std::exchange(taken, true); };
  ibb.received([&file](const Stream&, std::string_view bytes) { file << bytes; });
  ibb.closed([&client, &file, &done](const Stream& stream, const Closed& how) {
    done = how.why == Closed::Why::by_peer && file.flush();
    if (done)
      std::printf("received %ju bytes from %s\n", std::uintmax_t{stream.received},
                  stream.peer.text().c_str());
    else
      std::fprintf(stderr, "%s\n", file ? how.text.c_str() : "the file cannot be written");
    client.close();
  });
  std::printf("waiting as %s\n", client.jid().text().c_str());
}

}  // namespace

int main(int argc, char** argv) {
  auto arguments = examples::read_arguments(
      argc, argv,
      "-j JID [-p PASSWORD] -f FILE [-t TO] [--block BYTES] [--connect HOST:PORT] [--ca FILE]\n"
      "FILE is sent to the full address TO, or without one what comes is saved in it; BYTES: the largest "
      "block",
      {"-f"}, {"-t", "--block"});
  if (!arguments) return 2;
  auto& more = arguments->more;
  const bool sends = more.contains("-t");
  const auto to = Jid::parse(more["-t"]);
  std::ifstream in;
  std::ofstream out;
  sends ? in.open(more["-f"], std::ios::binary) : out.open(more["-f"], std::ios::binary);
  if ((sends && !to) || !in || !out) {
    std::fprintf(stderr, "%s\n", sends && !to ? to.error().message.c_str() : "the file cannot be opened");
    return 2;
  }
  std::setvbuf(stdout, nullptr, _IOLBF, BUFSIZ);  // a line at a time, also into files

  client::Client client(std::move(arguments->login));
  auto& settings = client.use<InBandBytestreams>().settings;
  if (const auto block = more.find("--block"); block != more.end())
    settings.block_size = settings.largest_block = std::strtoul(block->second.c_str(), nullptr, 10);
  bool done = false;
  client.on.session_start([&] {
    client.send(client::Presence{});
    sends ? send(client, *to, in, done) : receive(client, out, done);
  });
  const client::Ended ended = client.run();
  if (ended.why != client::Ended::Why::closed) std::fprintf(stderr, "%s\n", ended.text.c_str());
  return examples::exit_code(ended, done);
}
