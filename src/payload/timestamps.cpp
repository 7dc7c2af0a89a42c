#include "payload/timestamps.h"

#include <optional>

#include <fmt/format.h>

namespace starling::payload {
namespace {

using std::chrono::minutes;
using std::chrono::nanoseconds;
using std::chrono::seconds;

// Takes what it reads from the front of a text. Once something was not as it must be, all is wrong.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : rest_(text) {}

  [[nodiscard]] bool at(char c) const { return rest_.starts_with(c); }
  [[nodiscard]] bool done() const { return ok_ && rest_.empty(); }  // all was read, and all was right

  [[nodiscard]] bool at_digit() const {
    return !rest_.empty() && rest_.front() >= '0' && rest_.front() <= '9';
  }

  void require(bool condition) { ok_ = ok_ && condition; }
  bool take(char c) {
    if (!at(c)) return false;
    rest_.remove_prefix(1);
    return true;
  }
  void expect(char c) { require(take(c)); }

  void skip_digits() {
    while (at_digit()) rest_.remove_prefix(1);
  }

  int number(unsigned digits) {
    int value = 0;
    for (; digits > 0; --digits) {
      require(at_digit());
      if (!ok_) return 0;
      value = value * 10 + take_digit();
    }
    return value;
  }

  // Digits without end; those that have no place in nanoseconds are passed over.
  nanoseconds fraction() {
    require(at_digit());
    nanoseconds value{0};
    for (nanoseconds unit = std::chrono::milliseconds(100); at_digit(); unit /= 10)
      value += unit * take_digit();
    return value;
  }

 private:
  int take_digit() {
    const int digit = rest_.front() - '0';
    rest_.remove_prefix(1);
    return digit;
  }

  std::string_view rest_;
  bool ok_ = true;
};

std::chrono::year_month_day scan_date(Scanner& scanner) {
  const int year = scanner.number(4);
  scanner.expect('-');
  const int month = scanner.number(2);
  scanner.expect('-');
  const int day = scanner.number(2);
  const std::chrono::year_month_day date{std::chrono::year(year),
                                         std::chrono::month(static_cast<unsigned>(month)),
                                         std::chrono::day(static_cast<unsigned>(day))};
  scanner.require(year > 0 && date.ok());
  return date;
}

// The end of a day may be written as 24:00:00 (XML Schema part 2, 3.2.7.1).
nanoseconds scan_time(Scanner& scanner) {
  const int hour = scanner.number(2);
  scanner.expect(':');
  const int minute = scanner.number(2);
  scanner.expect(':');
  const int second = scanner.number(2);
  const nanoseconds fraction = scanner.take('.') ? scanner.fraction() : nanoseconds(0);
  const nanoseconds time = std::chrono::hours(hour) + minutes(minute) + seconds(second) + fraction;
  scanner.require(minute < 60 && second < 60 && time <= std::chrono::hours(24));
  return time;
}

std::optional<minutes> scan_zone(Scanner& scanner) {
  if (scanner.take('Z')) return minutes(0);
  if (!scanner.at('+') && !scanner.at('-')) return std::nullopt;
  const bool west = scanner.take('-');
  if (!west) scanner.expect('+');
  const int hour = scanner.number(2);
  scanner.expect(':');
  const int minute = scanner.number(2);
  const minutes east = std::chrono::hours(hour) + minutes(minute);
  scanner.require(minute < 60 && east <= std::chrono::hours(14));
  return west ? -east : east;
}

struct DateTime {
  std::chrono::year_month_day date;
  nanoseconds time;
  std::optional<minutes> zone;
};

std::optional<DateTime> scan_date_time(std::string_view text) {
  Scanner scanner(text);
  DateTime result{};
  result.date = scan_date(scanner);
  scanner.expect('T');
  result.time = scan_time(scanner);
  result.zone = scan_zone(scanner);
  if (!scanner.done()) return std::nullopt;
  return result;
}

std::unexpected<Error> no_timestamp() { return fail(Errc::invalid, "this is no date and time of XEP-0082"); }

// The range is that of whole years, so that what is read can be written and read again.
Result<WallTime> to_wall(const DateTime& value, minutes east) {
  using namespace std::chrono_literals;
  const auto day = std::chrono::sys_days(value.date);
  const auto second = day + std::chrono::floor<seconds>(value.time) - east;
  if (second < std::chrono::sys_days(1678y / 1 / 1) || second >= std::chrono::sys_days(2262y / 1 / 1))
    return fail(Errc::limit, "a time is out of range");
  return day + value.time - east;
}

}  // namespace

Result<WallTime> parse_timestamp(std::string_view text) {
  const auto value = scan_date_time(text);
  if (!value || !value->zone) return no_timestamp();
  return to_wall(*value, *value->zone);
}

Result<WallTime> parse_timestamp(std::string_view text, minutes east) {
  const auto value = scan_date_time(text);
  if (!value) return no_timestamp();
  return to_wall(*value, value->zone.value_or(east));
}

std::string timestamp(WallTime time, unsigned digits) {
  const auto second = std::chrono::floor<seconds>(time);
  const auto day = std::chrono::floor<std::chrono::days>(second);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss clock(second - day);
  std::string text = fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}", static_cast<int>(date.year()),
                                 static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                                 clock.hours().count(), clock.minutes().count(), clock.seconds().count());
  if (digits > 0) {
    const std::string fraction = fmt::format("{:09}", nanoseconds(time - second).count());
    text += '.';
    text.append(fraction, 0, digits);
  }
  return text += 'Z';
}

Result<minutes> parse_zone(std::string_view text) {
  Scanner scanner(text);
  const auto east = scan_zone(scanner);
  if (!east || !scanner.done()) return fail(Errc::invalid, "this is no time zone of XEP-0082");
  return *east;
}

std::string zone(minutes east) {
  const auto distance = std::chrono::abs(east);
  return fmt::format("{}{:02}:{:02}", east < minutes(0) ? '-' : '+', distance.count() / 60,
                     distance.count() % 60);
}

bool is_date(std::string_view text) {
  Scanner scanner(text);
  scan_date(scanner);
  scan_zone(scanner);
  return scanner.done();
}

bool is_date_time(std::string_view text) { return scan_date_time(text).has_value(); }

bool is_time(std::string_view text) {
  Scanner scanner(text);
  scan_time(scanner);
  scan_zone(scanner);
  return scanner.done();
}

// XML Schema part 2, 3.2.6.1: at least one number, at least one after T, a fraction of seconds only.
bool is_duration(std::string_view text) {
  Scanner scanner(text);
  scanner.take('-');
  scanner.expect('P');
  const auto parts = [&](std::string_view units) {
    bool some = false;
    for (; scanner.at_digit(); some = true) {
      scanner.skip_digits();
      const bool fraction = scanner.take('.');
      if (fraction) scanner.fraction();
      while (!units.empty() && !scanner.at(units.front())) units.remove_prefix(1);
      scanner.require(!units.empty() && (!fraction || units == "S"));
      if (units.empty()) return some;
      scanner.take(units.front());
      units.remove_prefix(1);
    }
    return some;
  };
  const bool days = parts("YMD");
  const bool clock = scanner.take('T');
  const bool times = clock && parts("HMS");
  scanner.require((days || times) && times == clock);
  return scanner.done();
}

}  // namespace starling::payload
