#pragma once
// For the tests of host-meta: an HTTPS server.
#include <array>
#include <csignal>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "net/testing.h"

namespace starling::net::testing {

// An HTTPS server on loopback: one request a connection, answered with what stands under its path.
class HttpsServer {
 public:
  HttpsServer(const CertificateFiles& files, std::map<std::string, std::string> answers)
      : answers_(std::move(answers)) {
    SSL_CTX_use_certificate_chain_file(context_.get(), files.certificate.c_str());
    SSL_CTX_use_PrivateKey_file(context_.get(), files.key.c_str(), SSL_FILETYPE_PEM);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* const any = reinterpret_cast<sockaddr*>(&address);
    EXPECT_EQ(::bind(listener_, any, size), 0);
    EXPECT_EQ(::listen(listener_, 16), 0);
    EXPECT_EQ(::getsockname(listener_, any, &size), 0);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { serve(); });
  }
  HttpsServer(const HttpsServer&) = delete;
  HttpsServer& operator=(const HttpsServer&) = delete;
  ~HttpsServer() {
    ::shutdown(listener_, SHUT_RDWR);  // ends accept()
    thread_.join();
    ::close(listener_);
  }
  [[nodiscard]] std::string address() const { return fmt::format("127.0.0.1:{}", port_); }
  std::vector<std::string> requests() {
    const std::lock_guard lock(mutex_);
    return requests_;
  }

 private:
  void serve() {
    sigset_t pipe;
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    ::pthread_sigmask(SIG_BLOCK, &pipe, nullptr);  // a client that hangs up early is no reason to die
    for (;;) {
      const int fd = ::accept(listener_, nullptr, nullptr);
      if (fd < 0) return;
      const std::unique_ptr<SSL, Freer<SSL_free>> ssl(SSL_new(context_.get()));
      SSL_set_fd(ssl.get(), fd);
      if (SSL_accept(ssl.get()) == 1) answer(ssl.get());
      ::close(fd);
    }
  }
  void answer(SSL* ssl) {
    std::string request;
    std::array<char, 4096> block{};
    while (!request.contains("\r\n\r\n")) {
      const int got = SSL_read(ssl, block.data(), block.size());
      if (got <= 0) return;
      request.append(block.data(), static_cast<std::size_t>(got));
    }
    const std::string path = request.substr(4, request.find(' ', 4) - 4);  // after "GET "
    {
      const std::lock_guard lock(mutex_);
      requests_.push_back(path);
    }
    const auto at = answers_.find(path);
    const std::string text = at != answers_.end() ? at->second : "HTTP/1.1 404 Not Found\r\n\r\n";
    if (text.empty()) {
      SSL_read(ssl, block.data(), block.size());  // never answers: until the client has gone
      return;
    }
    SSL_write(ssl, text.data(), static_cast<int>(text.size()));
    SSL_shutdown(ssl);
  }

  SslContextPtr context_{SSL_CTX_new(TLS_server_method())};
  std::map<std::string, std::string> answers_;
  int listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  std::uint16_t port_ = 0;
  std::mutex mutex_;
  std::vector<std::string> requests_;
  std::thread thread_;
};

inline std::string page(std::string_view body) {
  return fmt::format("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{}", body.size(),
                     body);
}
inline std::string redirect(std::string_view to) {
  return fmt::format("HTTP/1.1 302 Found\r\nLocation: {}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
                     to);
}

}  // namespace starling::net::testing
