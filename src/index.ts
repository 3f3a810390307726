import './disposal.js'

export {
  bf16ToFloat,
  bf16ToFloat32,
  float32ToBf16,
  floatToBf16,
} from './bf16.js'
export type { Cores } from './cpus/usable.js'
export type {
  DiagnosticsMessages,
  LoadMessage,
  RequestAdmittedMessage,
  RequestFinishedMessage,
  RequestFirstTokenMessage,
  StepMessage,
  WorkerDeathMessage,
  WorkerRecoveryMessage,
} from './diagnostics.js'
export {
  ArgumentError,
  DeadlineError,
  DisposedError,
  DotpoolError,
  type ErrorCode,
  FormatError,
  InternalError,
  NoTokenError,
  NotANumberError,
  OutOfMemoryError,
  PoolBrokenError,
  PoolClosedError,
  QueueFullError,
  WorkerDiedError,
} from './errors.js'
export { packSdot, unpackSdot } from './layouts/sdot.js'
export { measureReadBandwidth } from './measure/read-bandwidth.js'
export { Checkpoint } from './model/checkpoint/checkpoint.js'
export type { SaveOptions } from './model/checkpoint/save.js'
export type { ReadOptions, TensorEntry } from './model/checkpoint/tensor-file.js'
export type { Architecture, ModelConfig } from './model/config/config.js'
export type { Packing } from './model/config/packing.js'
export type { Quantization } from './model/config/quantization-config.js'
export type {
  DefaultRope,
  DynamicRope,
  LinearRope,
  Llama3Rope,
  LongRope,
  RopeConfig,
  RopeParameters,
  YarnRope,
} from './model/config/rope-config.js'
export type { Skip } from './model/config/skip.js'
export type { LogitsProcessor } from './model/decoder/generate-request.js'
export type { ModelLinear } from './model/decoder/model-linear.js'
export type { FinishReason } from './model/decoder/request.js'
export type { ModelStats } from './model/decoder/scheduler.js'
export type { EmbedOptions } from './model/embedding/embed.js'
export {
  type CompareOptions,
  type Comparison,
  compareModels,
  type Likelihood,
} from './model/evaluation/compare.js'
export {
  compareLinears,
  type LinearError,
  type LinearErrorOptions,
} from './model/evaluation/linear-errors.js'
export type { GenerateOptions, GenerateTokensOptions } from './model/generation/generate.js'
export type { Generation } from './model/generation/generation.js'
export type { NllOptions } from './model/generation/nll.js'
export type { Prompt } from './model/generation/prompt.js'
export type {
  GenerationChunk,
  GenerationResult,
  Timing,
  TokenLogprobs,
  Usage,
} from './model/generation/run.js'
export type { Sampling } from './model/generation/sampler.js'
export type {
  AnyOfFormat,
  ChoiceFormat,
  GrammarFormat,
  JsonFormat,
  JsonSchemaFormat,
  RegexFormat,
  RepeatFormat,
  ResponseFormat,
  SequenceFormat,
  TextFormat,
} from './model/grammar/response-format.js'
export type { ModelInfo } from './model/inspect.js'
export type { LoadOptions, QueueOptions } from './model/load.js'
export { Model } from './model/model.js'
export { type QuantizeInt4Options, quantizeInt4 } from './model/quantization/quantize-int4.js'
export {
  type LinearWidth,
  type QuantizeOptions,
  type QuantizeReport,
  quantizeLinears,
  type ReplaceOptions,
  type ReplaceReport,
  replaceLinears,
  type SkippedLinear,
} from './model/replace.js'
export type { ChatMessage, ChatRole, TextPart, ToolCall } from './model/text/chat-messages.js'
export type { ChatTemplate, RenderOptions } from './model/text/chat-template.js'
export type { FunctionTool, TemplateInputs } from './model/text/template-inputs.js'
export type { TextStream } from './model/text/text-stream.js'
export { Texts } from './model/text/texts.js'
export type { TextFiles } from './model/text/thread/service.js'
export type { EncodeAsyncOptions, EncodeOptions, Tokenizer } from './model/text/tokenizer.js'
export type { ActivationType, ForwardOptions, ForwardSyncOptions } from './ops/activations.js'
export { FloatLinear, type FloatLinearOptions } from './ops/float-linear.js'
export { FusedMlp, type FusedMlpOptions } from './ops/fused-mlp.js'
export { intMatmul } from './ops/int-matmul.js'
export {
  Linear,
  type LinearForwardOptions,
  type LinearForwardSyncOptions,
  type Precision,
} from './ops/linear.js'
export { LinearGroup } from './ops/linear-group.js'
export type { LinearOptions, WeightType } from './ops/weight.js'
export type { AbortOptions } from './options.js'
export { Pool, type PoolOptions } from './pool/pool.js'
export type { PoolStats, WorkerStats } from './pool/stats.js'
export { type Activation, applyGate } from './reference/gate.js'
export type { Int4Weight } from './reference/int4.js'
export {
  type QuantizeRowsOptions,
  quantizeRows,
  quantizeWeight,
  type WeightShape,
} from './reference/quantize.js'
export { type ActivationArray, Tensor, type TensorData, type TensorType } from './tensor.js'
