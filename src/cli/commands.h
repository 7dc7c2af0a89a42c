#pragma once
// One function a subcommand: adds it, with its options, its help and what it does, to the command line.
#include "cli/context.h"

namespace starling::cli {

void add_serve(CLI::App& app, Context& context);
void add_user(CLI::App& app, Context& context);
void add_status(CLI::App& app, Context& context);
void add_sessions(CLI::App& app, Context& context);
void add_kick(CLI::App& app, Context& context);
void add_reload(CLI::App& app, Context& context);
void add_check(CLI::App& app, Context& context);
void add_config_reference(CLI::App& app, Context& context);

// Clients of any server (tools/).
void add_send(CLI::App& app, Context& context);
void add_echo(CLI::App& app, Context& context);
void add_chat(CLI::App& app, Context& context);
void add_listen(CLI::App& app, Context& context);
void add_ping(CLI::App& app, Context& context);
void add_disco(CLI::App& app, Context& context);
void add_roster(CLI::App& app, Context& context);
void add_presence(CLI::App& app, Context& context);
void add_vcard(CLI::App& app, Context& context);
void add_iq(CLI::App& app, Context& context);
void add_sensor(CLI::App& app, Context& context);
void add_read(CLI::App& app, Context& context);
void add_control(CLI::App& app, Context& context);
void add_register(CLI::App& app, Context& context);
void add_time(CLI::App& app, Context& context);
void add_version(CLI::App& app, Context& context);
void add_last(CLI::App& app, Context& context);

// A load generator (bench/).
void add_bench(CLI::App& app, Context& context);

}  // namespace starling::cli
