#include "xml/scanner.h"

#include <cstring>

namespace starling::xml {
namespace {

constexpr std::string_view kCdata = "[CDATA[";

bool is_space(char c) { return c == ' ' || c == '\n' || c == '\t' || c == '\r'; }

const char* find(const char* from, const char* end, char what) {
  const void* at = std::memchr(from, what, static_cast<std::size_t>(end - from));
  return at == nullptr ? end : static_cast<const char*>(at);
}

}  // namespace

Verdict Scanner::run(std::string_view bytes, std::size_t& taken, bool header) {
  const char* p = bytes.data();
  const char* const end = p + bytes.size();
  auto stop = [&](const char* at, Verdict verdict) {
    taken = static_cast<std::size_t>(at - bytes.data());
    return verdict;
  };
  while (p != end) {
    switch (at_) {
      case At::text:
        if (header) {
          while (p != end && is_space(*p)) ++p;
          if (p != end && *p != '<') return stop(p, Verdict::malformed);
        } else {
          p = find(p, end, '<');
        }
        if (p == end) break;
        ++p;
        at_ = At::less;
        break;
      case At::less:
        if (*p == '/') {
          if (header) return stop(p, Verdict::malformed);
          ++p;
          at_ = At::end_tag;
          if (depth_ == 0) return stop(p, Verdict::closing);
        } else if (*p == '!') {
          if (header) return stop(p, Verdict::restricted);
          ++p;
          at_ = At::bang;
          matched_ = 0;
        } else if (*p == '?') {
          if (!header || declared_) return stop(p, Verdict::restricted);
          ++p;
          at_ = At::declaration;
          declared_ = true;
          matched_ = 0;
        } else {
          at_ = At::start_tag;
          slash_ = false;
          ++elements_;
        }
        break;
      case At::start_tag:
        for (; p != end; ++p) {
          if (*p == '>' || *p == '"' || *p == '\'') break;
          slash_ = *p == '/';
        }
        if (p == end) break;
        if (*p != '>') {
          quote_ = *p++;
          at_ = At::value;
          slash_ = false;
          ++attributes_;
          break;
        }
        ++p;
        at_ = At::text;
        if (header || (slash_ && depth_ == 0)) return stop(p, Verdict::complete);
        if (!slash_) ++depth_;
        break;
      case At::value:
        p = find(p, end, quote_);
        if (p == end) break;
        ++p;
        at_ = At::start_tag;
        break;
      case At::end_tag:
        p = find(p, end, '>');
        if (p == end) break;
        ++p;
        at_ = At::text;
        if (--depth_ == 0) return stop(p, Verdict::complete);
        break;
      case At::bang:
        if (*p != kCdata[matched_]) return stop(p, matched_ == 0 ? Verdict::restricted : Verdict::malformed);
        if (depth_ == 0) return stop(p, Verdict::outside);
        ++p;
        if (++matched_ == kCdata.size()) {
          at_ = At::cdata;
          matched_ = 0;
        }
        break;
      case At::cdata:
        if (matched_ == 0) p = find(p, end, ']');
        for (; p != end; ++p) {
          if (*p == ']') {
            matched_ = matched_ == 0 ? 1 : 2;
          } else {
            if (*p == '>' && matched_ == 2) at_ = At::text;
            matched_ = 0;
            ++p;
            break;
          }
        }
        break;
      case At::declaration:
        if (matched_ == 0) p = find(p, end, '?');
        if (p == end) break;
        if (*p == '>' && matched_ == 1) at_ = At::text;
        matched_ = *p == '?' ? 1 : 0;
        ++p;
        break;
    }
  }
  return stop(end, Verdict::more);
}

}  // namespace starling::xml
