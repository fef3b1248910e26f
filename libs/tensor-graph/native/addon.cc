// tfjs-node's addon, and two calls more, by which graphs become functions of TensorFlow's eager context. It is compiled in place of
// tfjs_binding.cc, with -fno-access-control: the context is private to tfjs-node's backend.
#include <node_api.h>
// The module that tfjs-node declares at its end is declared here, once more calls are in it.
#pragma push_macro("NAPI_MODULE")
#undef NAPI_MODULE
#define NAPI_MODULE(name, init)
#include "tfjs_binding.cc"
#pragma pop_macro("NAPI_MODULE")

#include <memory>
#include <string>
#include <vector>

#include "tensorflow/c/c_api.h"
#include "tensorflow/c/eager/c_api.h"

namespace {

using tfnodejs::TFJSBackend;

struct StatusDeleter {
  void operator()(TF_Status *status) const { TF_DeleteStatus(status); }
};
struct GraphDeleter {
  void operator()(TF_Graph *graph) const { TF_DeleteGraph(graph); }
};
struct FunctionDeleter {
  void operator()(TF_Function *function) const { TF_DeleteFunction(function); }
};

/** Has JavaScript throw what went wrong. */
bool Failed(napi_env env, TF_Status *status) {
  if (TF_GetCode(status) == TF_OK) return false;
  napi_throw_error(env, nullptr, TF_Message(status));
  return true;
}

bool ReadString(napi_env env, napi_value value, std::string *text) {
  size_t length = 0;
  if (napi_get_value_string_utf8(env, value, nullptr, 0, &length) != napi_ok) {
    napi_throw_type_error(env, nullptr, "a string is expected");
    return false;
  }
  std::vector<char> buffer(length + 1);
  napi_get_value_string_utf8(env, value, buffer.data(), buffer.size(), &length);
  text->assign(buffer.data(), length);
  return true;
}

/** Reads places of a graph, pairs of the name of an operation and the number of one of its outputs. */
bool ReadPlaces(napi_env env, TF_Graph *graph, napi_value value, std::vector<TF_Output> *places) {
  uint32_t length = 0;
  if (napi_get_array_length(env, value, &length) != napi_ok) {
    napi_throw_type_error(env, nullptr, "an array is expected");
    return false;
  }
  for (uint32_t i = 0; i < length; i++) {
    napi_value text;
    std::string name;
    if (napi_get_element(env, value, i, &text) != napi_ok || !ReadString(env, text, &name)) return false;
    const size_t colon = name.rfind(':');
    TF_Operation *operation = TF_GraphOperationByName(graph, name.substr(0, colon).c_str());
    if (operation == nullptr) {
      napi_throw_error(env, nullptr, ("the graph has no operation for " + name).c_str());
      return false;
    }
    places->push_back({operation, colon == std::string::npos ? 0 : std::stoi(name.substr(colon + 1))});
  }
  return true;
}

TFE_Context *ContextOf(napi_env env) {
  void *backend = nullptr;
  napi_get_instance_data(env, &backend);
  return static_cast<TFJSBackend *>(backend)->tfe_context_;
}

/** addFunction(name: string, graphDef: Uint8Array, inputs: string[], outputs: string[]): void */
napi_value AddFunction(napi_env env, napi_callback_info info) {
  napi_value arguments[4];
  size_t count = 4;
  napi_get_cb_info(env, info, &count, arguments, nullptr, nullptr);
  std::string name;
  void *bytes = nullptr;
  size_t length = 0;
  if (count < 4 || !ReadString(env, arguments[0], &name)) return nullptr;
  if (napi_get_typedarray_info(env, arguments[1], nullptr, &length, &bytes, nullptr, nullptr) != napi_ok) {
    napi_throw_type_error(env, nullptr, "an array of bytes is expected");
    return nullptr;
  }
  std::unique_ptr<TF_Status, StatusDeleter> status(TF_NewStatus());
  std::unique_ptr<TF_Graph, GraphDeleter> graph(TF_NewGraph());
  TF_Buffer *definition = TF_NewBufferFromString(bytes, length);
  TF_ImportGraphDefOptions *options = TF_NewImportGraphDefOptions();
  TF_GraphImportGraphDef(graph.get(), definition, options, status.get());
  TF_DeleteImportGraphDefOptions(options);
  TF_DeleteBuffer(definition);
  if (Failed(env, status.get())) return nullptr;
  std::vector<TF_Output> inputs;
  std::vector<TF_Output> outputs;
  if (!ReadPlaces(env, graph.get(), arguments[2], &inputs)) return nullptr;
  if (!ReadPlaces(env, graph.get(), arguments[3], &outputs)) return nullptr;
  std::unique_ptr<TF_Function, FunctionDeleter> function(
      TF_GraphToFunction(graph.get(), name.c_str(), /*append_hash_to_fn_name=*/0, /*num_opers=*/-1, nullptr,
                         inputs.size(), inputs.data(), outputs.size(), outputs.data(), nullptr, nullptr, nullptr,
                         status.get()));
  if (Failed(env, status.get())) return nullptr;
  TFE_ContextAddFunction(ContextOf(env), function.get(), status.get());
  Failed(env, status.get());
  return nullptr;
}

/** removeFunction(name: string): void */
napi_value RemoveFunction(napi_env env, napi_callback_info info) {
  napi_value name_value;
  size_t count = 1;
  napi_get_cb_info(env, info, &count, &name_value, nullptr, nullptr);
  std::string name;
  if (count < 1 || !ReadString(env, name_value, &name)) return nullptr;
  std::unique_ptr<TF_Status, StatusDeleter> status(TF_NewStatus());
  TFE_ContextRemoveFunction(ContextOf(env), name.c_str(), status.get());
  Failed(env, status.get());
  return nullptr;
}

napi_value Init(napi_env env, napi_value exports) {
  if (tfnodejs::InitTFNodeJSBinding(env, exports) == nullptr) return nullptr;
  const napi_property_descriptor calls[] = {
      {"addFunction", nullptr, AddFunction, nullptr, nullptr, nullptr, napi_default, nullptr},
      {"removeFunction", nullptr, RemoveFunction, nullptr, nullptr, nullptr, napi_default, nullptr},
  };
  napi_define_properties(env, exports, 2, calls);
  return exports;
}

}  // namespace

NAPI_MODULE(tfe_binding, Init)
