// The mode in which one account lives in a PostgreSQL database, behind an assent-agent: Alice, on shard s1, pays Carol.
#pragma once

#include <string>

#include "client/client.h"

// at: host:port of the agent, which serves the participant of that name. False, and says why, when something went
// otherwise than it should.
bool pay_into_postgres(assent::client::Client& client, const std::string& participant, const std::string& at);
