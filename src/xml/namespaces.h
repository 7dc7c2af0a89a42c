#pragma once
// Namespace names, by the document that defines them. One place, so that a typing error is a compile error.
#include <string_view>

namespace starling::ns {

inline constexpr std::string_view client = "jabber:client";  // RFC 6120
inline constexpr std::string_view server = "jabber:server";  // RFC 6120
inline constexpr std::string_view stream = "http://etherx.jabber.org/streams";
inline constexpr std::string_view streams = "urn:ietf:params:xml:ns:xmpp-streams";
inline constexpr std::string_view stanzas = "urn:ietf:params:xml:ns:xmpp-stanzas";
inline constexpr std::string_view tls = "urn:ietf:params:xml:ns:xmpp-tls";
inline constexpr std::string_view sasl = "urn:ietf:params:xml:ns:xmpp-sasl";
inline constexpr std::string_view bind = "urn:ietf:params:xml:ns:xmpp-bind";
inline constexpr std::string_view session = "urn:ietf:params:xml:ns:xmpp-session";  // RFC 3921
inline constexpr std::string_view roster = "jabber:iq:roster";                      // RFC 6121
inline constexpr std::string_view rosterver = "urn:xmpp:features:rosterver";
inline constexpr std::string_view pre_approval = "urn:xmpp:features:pre-approval";
inline constexpr std::string_view xml = "http://www.w3.org/XML/1998/namespace";
inline constexpr std::string_view disco_info = "http://jabber.org/protocol/disco#info";  // XEP-0030
inline constexpr std::string_view disco_items = "http://jabber.org/protocol/disco#items";
inline constexpr std::string_view caps = "http://jabber.org/protocol/caps";        // XEP-0115
inline constexpr std::string_view result_sets = "http://jabber.org/protocol/rsm";  // XEP-0059
inline constexpr std::string_view data_forms = "jabber:x:data";                    // XEP-0004
inline constexpr std::string_view last = "jabber:iq:last";                         // XEP-0012
inline constexpr std::string_view ibb = "http://jabber.org/protocol/ibb";          // XEP-0047
inline constexpr std::string_view private_xml = "jabber:iq:private";               // XEP-0049
inline constexpr std::string_view vcard = "vcard-temp";                            // XEP-0054
inline constexpr std::string_view oob = "jabber:x:oob";                            // XEP-0066
inline constexpr std::string_view reg = "jabber:iq:register";                      // XEP-0077
inline constexpr std::string_view reg_feature = "http://jabber.org/features/iq-register";
inline constexpr std::string_view chat_states = "http://jabber.org/protocol/chatstates";        // XEP-0085
inline constexpr std::string_view version = "jabber:iq:version";                                // XEP-0092
inline constexpr std::string_view data_validate = "http://jabber.org/protocol/xdata-validate";  // XEP-0122
inline constexpr std::string_view receipts = "urn:xmpp:receipts";                               // XEP-0184
inline constexpr std::string_view sm = "urn:xmpp:sm:3";                                         // XEP-0198
inline constexpr std::string_view ping = "urn:xmpp:ping";                                       // XEP-0199
inline constexpr std::string_view time = "urn:xmpp:time";                                       // XEP-0202
inline constexpr std::string_view delay = "urn:xmpp:delay";                                     // XEP-0203
inline constexpr std::string_view bob = "urn:xmpp:bob";                                         // XEP-0231
inline constexpr std::string_view sensor_data = "urn:xmpp:iot:sensordata";                      // XEP-0323
inline constexpr std::string_view iot_control = "urn:xmpp:iot:control";                         // XEP-0325
inline constexpr std::string_view dynamic_forms = "urn:xmpp:xdata:dynamic";                     // XEP-0336
inline constexpr std::string_view hints = "urn:xmpp:hints";                                     // XEP-0334
inline constexpr std::string_view sasl_cb = "urn:xmpp:sasl-cb:0";                               // XEP-0440
inline constexpr std::string_view stream_limits = "urn:xmpp:stream-limits:0";                   // XEP-0478
inline constexpr std::string_view offline = "msgoffline";  // XEP-0160, as a disco feature

}  // namespace starling::ns
