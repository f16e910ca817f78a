#include "server/reflection_service.h"

#include <fmt/format.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>
#include <grpcpp/support/async_stream.h>

#include <set>

#include "server/rpc_server.h"

namespace assent {

namespace {

using google::protobuf::Descriptor;
using google::protobuf::DescriptorPool;
using google::protobuf::FieldDescriptor;
using google::protobuf::FileDescriptor;
using grpc::reflection::v1alpha::ServerReflection;
using grpc::reflection::v1alpha::ServerReflectionRequest;
using grpc::reflection::v1alpha::ServerReflectionResponse;

// The file and all that it imports, each once, imports first asked for last.
void add_files(const FileDescriptor& file, std::set<std::string>& seen, ServerReflectionResponse& response) {
  if (!seen.insert(file.name()).second) return;
  google::protobuf::FileDescriptorProto proto;
  file.CopyTo(&proto);
  response.mutable_file_descriptor_response()->add_file_descriptor_proto(proto.SerializeAsString());
  for (int i = 0; i < file.dependency_count(); ++i) add_files(*file.dependency(i), seen, response);
}

void not_found(const std::string& what, ServerReflectionResponse& response) {
  response.mutable_error_response()->set_error_code(grpc::StatusCode::NOT_FOUND);
  response.mutable_error_response()->set_error_message(what);
}

void answer_file(const FileDescriptor* file, const std::string& what, ServerReflectionResponse& response) {
  if (file == nullptr) return not_found(fmt::format("there is no {}", what), response);
  std::set<std::string> seen;
  add_files(*file, seen, response);
}

}  // namespace

// Reads a question, writes its answer, and so on. Deletes itself when the caller is through.
class ReflectionService::Stream final {
 public:
  static void await(ReflectionService& service, RpcQueue& queue) {
    auto* const stream = new Stream(service, queue);
    service.service_.RequestServerReflectionInfo(&stream->context_, &stream->stream_, queue.arrivals(),
                                                 queue.arrivals(), static_cast<RpcTag*>(&stream->opened_));
  }

 private:
  Stream(ReflectionService& service, RpcQueue& queue) : service_(service), queue_(queue) {}

  void opened(bool ok) {
    if (ok && !queue_.draining()) await(service_, queue_);
    read(ok);
  }
  void read(bool ok) {
    if (!ok || queue_.draining()) return finished(false);
    stream_.Read(&request_, static_cast<RpcTag*>(&read_));
  }
  void asked(bool ok) {
    if (queue_.draining()) return finished(false);
    if (!ok) return stream_.Finish(grpc::Status::OK, static_cast<RpcTag*>(&finished_));
    stream_.Write(service_.answer(request_), static_cast<RpcTag*>(&answered_));
  }
  void finished(bool /*ok*/) { delete this; }

  ReflectionService& service_;
  RpcQueue& queue_;
  grpc::ServerContext context_;
  grpc::ServerAsyncReaderWriter<ServerReflectionResponse, ServerReflectionRequest> stream_{&context_};
  ServerReflectionRequest request_;
  RpcStep<Stream> opened_{*this, &Stream::opened};
  RpcStep<Stream> read_{*this, &Stream::asked};
  RpcStep<Stream> answered_{*this, &Stream::read};
  RpcStep<Stream> finished_{*this, &Stream::finished};
};

void ReflectionService::open(RpcQueue& queue) { Stream::await(*this, queue); }

ServerReflectionResponse ReflectionService::answer(const ServerReflectionRequest& request) const {
  const DescriptorPool& pool = *DescriptorPool::generated_pool();
  ServerReflectionResponse response;
  response.set_valid_host(request.host());
  *response.mutable_original_request() = request;
  switch (request.message_request_case()) {
    case ServerReflectionRequest::kListServices:
      for (const std::string& name : services_)
        response.mutable_list_services_response()->add_service()->set_name(name);
      break;
    case ServerReflectionRequest::kFileByFilename:
      answer_file(pool.FindFileByName(request.file_by_filename()),
                  fmt::format("file \"{:.200}\"", request.file_by_filename()), response);
      break;
    case ServerReflectionRequest::kFileContainingSymbol:
      answer_file(pool.FindFileContainingSymbol(request.file_containing_symbol()),
                  fmt::format("symbol \"{:.200}\"", request.file_containing_symbol()), response);
      break;
    case ServerReflectionRequest::kFileContainingExtension: {
      const auto& asked = request.file_containing_extension();
      const Descriptor* type = pool.FindMessageTypeByName(asked.containing_type());
      const FieldDescriptor* field =
          type == nullptr ? nullptr : pool.FindExtensionByNumber(type, asked.extension_number());
      answer_file(field == nullptr ? nullptr : field->file(),
                  fmt::format("extension {} of \"{:.200}\"", asked.extension_number(), asked.containing_type()),
                  response);
      break;
    }
    case ServerReflectionRequest::kAllExtensionNumbersOfType: {
      const std::string& name = request.all_extension_numbers_of_type();
      const Descriptor* type = pool.FindMessageTypeByName(name);
      if (type == nullptr) {
        not_found(fmt::format("there is no type \"{:.200}\"", name), response);
        break;
      }
      std::vector<const FieldDescriptor*> extensions;
      pool.FindAllExtensions(type, &extensions);
      response.mutable_all_extension_numbers_response()->set_base_type_name(name);
      for (const FieldDescriptor* extension : extensions)
        response.mutable_all_extension_numbers_response()->add_extension_number(extension->number());
      break;
    }
    case ServerReflectionRequest::MESSAGE_REQUEST_NOT_SET:
      response.mutable_error_response()->set_error_code(grpc::StatusCode::INVALID_ARGUMENT);
      response.mutable_error_response()->set_error_message("the request asks for nothing");
      break;
  }
  return response;
}

}  // namespace assent
