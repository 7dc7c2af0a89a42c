#include "modules/all.h"

namespace starling::modules {

using server::Module;

// Each is at the end of its own file. To leave one out, delete its file and its two lines here.
std::unique_ptr<Module> ping();
std::unique_ptr<Module> disco();
std::unique_ptr<Module> caps();
std::unique_ptr<Module> version();
std::unique_ptr<Module> entity_time();
std::unique_ptr<Module> last();
std::unique_ptr<Module> vcard();
std::unique_ptr<Module> private_xml();
std::unique_ptr<Module> registration();
std::unique_ptr<Module> offline(const server::Config& config);
std::unique_ptr<Module> archive();
std::unique_ptr<Module> retraction();
std::unique_ptr<Module> carbons();
std::unique_ptr<Module> limits_feature();

std::vector<std::unique_ptr<Module>> all(const server::Config& config) {
  std::vector<std::unique_ptr<Module>> list;
  list.push_back(ping());
  list.push_back(disco());
  list.push_back(caps());
  list.push_back(version());
  list.push_back(entity_time());
  list.push_back(last());
  list.push_back(vcard());
  list.push_back(private_xml());
  list.push_back(registration());
  list.push_back(offline(config));
  list.push_back(archive());
  list.push_back(retraction());
  list.push_back(carbons());
  list.push_back(limits_feature());
  return list;
}

}  // namespace starling::modules
