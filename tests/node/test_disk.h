// A disk in memory for the node's tests: operations finish at the next poll(), or not before release() while held. What
// was synced survives crash(), the rest does not.
#pragma once

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "storage/disk.h"

namespace assent {

class TestDisk final : public Disk {
 public:
  void hold() { held_ = true; }
  void release() { held_ = false; }
  // From now on what is started is done before start() returns.
  void quicken() { quick_ = true; }
  [[nodiscard]] bool pending() const { return !operations_.empty(); }
  [[nodiscard]] bool has_completions() const { return !held_ && !operations_.empty(); }
  void fail_next_sync() { fail_sync_ = true; }
  // A new process on what is durable.
  void crash() {
    operations_.clear();
    files_.clear();
    held_ = false;
    current_ = durable_;
  }

  Result<FileId> open(std::string_view path, std::uint64_t reserve_bytes) override {
    auto [file, created] = current_.try_emplace(std::string(path));
    if (created) {
      file->second.resize(reserve_bytes);
      durable_[file->first] = file->second;
    }
    files_[++last_file_] = std::string(path);
    return FileId(last_file_);
  }
  void close(FileId file) override { files_.erase(file.value); }
  void write(FileId file, std::uint64_t offset, Bytes data, IoToken token) override {
    operations_.push_back({token, files_.at(file.value), offset, std::move(data), false});
  }
  void sync(FileId file, IoToken token) override { operations_.push_back({token, files_.at(file.value), 0, {}, true}); }
  bool start(Meanwhile) override { return quick_ && has_completions(); }
  Result<void> write_durably(FileId file, std::uint64_t offset, Bytes data) override {
    carry_out({IoToken(), files_.at(file.value), offset, std::move(data), false});
    carry_out({IoToken(), files_.at(file.value), 0, {}, true});
    return {};
  }
  std::vector<IoCompletion> poll() override {
    std::vector<IoCompletion> done;
    if (held_) return done;
    for (Operation& operation : std::exchange(operations_, {})) done.push_back(carry_out(operation));
    return done;
  }

  Result<Bytes> read(std::string_view path, std::uint64_t offset, std::uint64_t size) override {
    const auto file = current_.find(std::string(path));
    if (file == current_.end()) return fail(ErrorCode::not_found, "no such file");
    if (offset >= file->second.size()) return Bytes();
    return file->second.substr(offset, size);
  }
  Result<std::uint64_t> size(std::string_view path) override {
    const auto file = current_.find(std::string(path));
    if (file == current_.end()) return fail(ErrorCode::not_found, "no such file");
    return file->second.size();
  }
  Result<std::vector<std::string>> list(std::string_view folder) override {
    const std::string prefix = std::string(folder) + "/";
    std::set<std::string> names;
    for (const auto& [path, content] : current_) {
      if (path.starts_with(prefix))
        names.insert(path.substr(prefix.size(), path.find('/', prefix.size()) - prefix.size()));
    }
    return std::vector<std::string>(names.begin(), names.end());
  }
  Result<void> make_folder(std::string_view) override { return {}; }
  Result<void> truncate(std::string_view path, std::uint64_t size) override {
    current_[std::string(path)].resize(size);
    durable_[std::string(path)].resize(size);
    return {};
  }
  Result<void> rename(std::string_view from, std::string_view to) override {
    const auto move = [&](std::map<std::string, Bytes>& files) {
      files[std::string(to)] = files[std::string(from)];
      files.erase(std::string(from));
    };
    move(current_);
    move(durable_);
    return {};
  }
  Result<void> remove(std::string_view path) override {
    current_.erase(std::string(path));
    durable_.erase(std::string(path));
    return {};
  }
  Result<void> sync_directory(std::string_view) override { return {}; }

 private:
  struct Operation {
    IoToken token;
    std::string path;
    std::uint64_t offset = 0;
    Bytes data;
    bool sync = false;
  };

  IoCompletion carry_out(const Operation& operation) {
    if (!current_.contains(operation.path)) return {operation.token, std::nullopt};
    if (operation.sync) {
      if (fail_sync_) return {operation.token, Error{ErrorCode::io, "sync failed", {}}};
      durable_[operation.path] = current_[operation.path];
    } else {
      Bytes& file = current_[operation.path];
      file.resize(std::max(file.size(), operation.offset + operation.data.size()));
      file.replace(operation.offset, operation.data.size(), operation.data);
    }
    return {operation.token, std::nullopt};
  }

  bool held_ = false;
  bool quick_ = false;
  bool fail_sync_ = false;
  std::uint64_t last_file_ = 0;
  std::map<std::uint64_t, std::string> files_;
  std::map<std::string, Bytes> current_;
  std::map<std::string, Bytes> durable_;
  std::vector<Operation> operations_;
};

}  // namespace assent
