#include "sql_adapter/schema_cache.h"

#include <utility>

#include "base/byte_codec.h"
#include "sql_adapter/image.h"

namespace assent::sql {
namespace {

std::string text_of(const std::vector<Row>& objects) {
  std::string out;
  ByteWriter writer(out);
  for (const Row& row : objects) {
    for (const SqlValue& value : row) writer.bytes(view(value).bytes);
  }
  return out;
}

}  // namespace

Result<std::shared_ptr<const Schema>> SchemaCache::load(Database& db) {
  auto objects = Schema::objects(db);
  if (!objects) return fail(objects.error());
  std::string text = text_of(*objects);
  if (const auto found = schemas_.find(text); found != schemas_.end()) return found->second;
  auto made = Schema::load(db, *objects);
  if (!made) return fail(made.error());
  if (schemas_.size() >= schemas_max) schemas_.clear();
  std::shared_ptr<const Schema> schema = std::move(*made);
  schemas_.emplace(std::move(text), schema);
  return schema;
}

Result<void> SchemaCache::fill(Database& empty, const std::string& statements) {
  if (filled_) return copy_content(*filled_, empty);
  auto made = Database::open(":memory:");
  if (!made) return fail(made.error());
  if (auto done = (*made)->execute(statements); !done) return done;
  filled_ = std::move(*made);
  return copy_content(*filled_, empty);
}

}  // namespace assent::sql
