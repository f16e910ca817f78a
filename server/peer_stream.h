// A stream of frames between two nodes, seen from either end: whoever called and whoever was called write and read the
// same way. On the thread that waits on the node's completion queue.
#pragma once

#include "assent/v1/peer.pb.h"
#include "base/bytes.h"
#include "server/inbox.h"
#include "server/rpc_queue.h"

namespace assent {

// What a link needs of the stream that it has.
class PeerStream {
 public:
  // When the last write is done, and not after the link was told that the stream is lost.
  virtual void write(Bytes frame) = 0;
  virtual void probe(std::uint64_t ask, std::uint64_t answer) = 0;
  virtual void cancel() = 0;

 protected:
  ~PeerStream() = default;
};

// What both ends have in common. Stream is gRPC's reader and writer of PeerFrame. One read and one write are under way
// at most; when one of them failed and both are over, over() is called, once, and may delete this.
template <class Stream>
class FramePump : public PeerStream, public Inbox::FrameReader {
 public:
  void write(Bytes frame) override {
    out_.set_frame(std::move(frame));
    write_out();
  }
  void probe(std::uint64_t ask, std::uint64_t answer) override {
    out_.mutable_probe()->set_ask(ask);
    out_.mutable_probe()->set_answer(answer);
    write_out();
  }
  // The loop has taken the last frame.
  void proceed() final {
    if (lost_ || queue_.draining()) return step_over();
    stream().Read(&in_, static_cast<RpcTag*>(&read_));
  }

 protected:
  FramePump(RpcQueue& queue, Inbox& inbox) : queue_(queue), inbox_(inbox) {}
  ~FramePump() = default;

  [[nodiscard]] virtual Stream& stream() = 0;
  virtual void arrived(v1::PeerFrame& message) = 0;  // calls read() or hand_over(), or neither to end
  virtual void written(bool ok) = 0;
  virtual void lost() = 0;  // the first of the operations has failed: nothing may be written any more
  virtual void over() = 0;

  void read() {
    ++under_way_;
    stream().Read(&in_, static_cast<RpcTag*>(&read_));
  }
  // The next read begins when the loop has taken this frame and written what it has to say: so what HTTP/2 says of it
  // travels with that.
  void hand_over(NodeId from, v1::PeerFrame& message) {
    ++under_way_;
    inbox_.push_frame({.from = from, .frame = std::move(*message.mutable_frame())}, *this);
  }
  void write_out() {
    ++under_way_;
    stream().Write(out_, static_cast<RpcTag*>(&written_));
  }
  // An operation has failed, though another may still end well: whoever learns that is not to use the stream.
  [[nodiscard]] bool is_lost() const { return lost_; }
  // For operations that only one end has.
  void step_begins() { ++under_way_; }
  void step_over() {
    if (--under_way_ > 0) return;
    lose();
    over();
  }
  void lose() {
    if (std::exchange(lost_, true)) return;
    lost();
  }

  RpcQueue& queue_;
  Inbox& inbox_;
  v1::PeerFrame out_;

 private:
  void read_ended(bool ok) {
    if (ok && !queue_.draining()) {
      arrived(in_);
    } else {
      lose();
    }
    step_over();
  }
  void write_ended(bool ok) {
    if (!ok) cancel();  // the read that is under way ends
    written(ok);
    step_over();
  }

  v1::PeerFrame in_;
  int under_way_ = 0;
  bool lost_ = false;
  RpcStep<FramePump> read_{*this, &FramePump::read_ended};
  RpcStep<FramePump> written_{*this, &FramePump::write_ended};
};

}  // namespace assent
