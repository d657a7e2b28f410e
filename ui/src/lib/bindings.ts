// Written by a test of quartet-api (desk/bindings.rs). Do not edit.

/** The decision to answer or to say "not in your documents". */
export type Abstention = {
  /** Calibrated probability that the documents hold the answer, from 0 to 1. */
  probability: number,
  /** Below this it abstains. */
  threshold: number,
  /** The features the probability was made from, by name. */
  features: Array<[string, number]>, };

/** One method's answer to one question. */
export type Answer = {
  /** Set once it is stored. */
  id: AnswerId | null,
  /** The question as asked. */
  question: string,
  /** The question as searched, where a follow-up was rewritten to stand alone. */
  searched_question: string | null,
  /** How it was made. */
  method: Method,
  /** The model that wrote it. */
  model: ModelId,
  /** Whether the documents hold an answer. */
  outcome: Outcome,
  /** The answer as shown. For [`Outcome::NotInDocuments`] it is our own sentence. */
  text: string,
  /** What the model wrote before it was set aside, for [`Outcome::NotInDocuments`]. */
  withheld: string | null,
  /** The answer sentence by sentence, with what supports each. */
  sentences: Array<AnswerSentence>,
  /** What search found, best first. Being here does not mean it was used. */
  retrieved: Array<SearchHit>,
  /** Indices into `retrieved` of the passages the model was given. */
  read: Array<number>,
  /** Indices into `retrieved` of the passages that support a sentence: the citations. */
  used: Array<number>,
  /** How the decision to answer or not was taken; `None` where the method never abstains. */
  abstention: Abstention | null,
  /** What the search did. */
  search: SearchTrace | null,
  /** How long each part took. */
  timings: Timings,
  /** What was read and written. */
  usage: Usage,
  /** How it came about, for GAG. */
  gag: GagTrace | null,
  /** How it came about, for ImpRAG. */
  imprag: ImpragTrace | null,
  /** How it came about, for IAG. */
  iag: IagTrace | null,
  /** The prompt exactly as the model read it. */
  prompt: string, };

/** What happens while an answer is made. */
export type AnswerEvent = { "loading": number } | { "rewritten": string } | { "retrieved": Array<SearchHit> } | { "routed": [Array<RouteScore>, RouteChoice] } | { "background": string } | { "imagining": IagMode } | { "imagined": [string, IagMode] } | { "prefill": {
    /** Tokens read. */
    done: number,
    /** Tokens in the prompt. */
    total: number, } } | { "text": string } | { "finished": Answer };

/** One answer by one method (SQLite row id). */
export type AnswerId = number;

/** A sentence of an answer. */
export type AnswerSentence = {
  /** First character in the answer's text. */
  start: number,
  /** One past its last character. */
  end: number,
  /** What supports it; `None` means that nothing given to the model does. */
  support: Support | null, };

/** Something trained here, with what it was made from and what it is worth. */
export type Artefact = {
  /** What it is. */
  kind: ArtefactKind,
  /** The collection it knows. */
  collection: CollectionId,
  /** Its name. */
  collection_name: string,
  /** How long it was trained. */
  preset: Preset,
  /** The model it belongs to, by name. */
  model: string,
  /** Digest of that model's file. */
  model_sha256: Sha256,
  /** The model that wrote the study material, by name; `None` where only rules did. */
  writer: string | null,
  /** State of the collection it was trained on. */
  fingerprint: string,
  /** Digest of the file with what was trained: an adapter, or the tensors of a projector. */
  adapter: Sha256,
  /** When it was finished, seconds since 1970. */
  created_at: number,
  /** What was measured of an expert; empty for anything else. */
  report: ExpertReport,
  /** What a GAG artefact is made of and what it is worth. */
  gag: GagReport | null,
  /** What an ImpRAG artefact is made of and what it is worth. */
  imprag: ImpragReport | null,
  /** What an IAG artefact is made of and what it is worth. */
  iag: IagReport | null,
  /** Whether documents have changed since. */
  stale: boolean, };

/** What an artefact is. */
export type ArtefactKind = "expert" | "gag" | "imprag" | "iag";

/** A question in a conversation. Its answers arrive as events. */
export type AskTurn = {
  /** Chosen by the asker; events carry it, and `stop` takes it. */
  run: string,
  /** The conversation. */
  chat: ChatId,
  /** The question. */
  question: string,
  /** How to answer; several answer at the same time. */
  methods: Array<Method>,
  /**
   * The turn that this one takes the place of (edited or asked again); what followed it
   * goes out of sight too.
   */
  replaces: TurnId | null,
  /** Whether "not in your documents" is a possible outcome. */
  abstain: boolean,
  /** Whether the methods' names stay hidden until a vote. */
  blind: boolean,
  /** For GAG: the route a person chose for this question; `None` leaves it to the router. */
  route?: RouteChoice,
  /** For IAG: what stands in the prompt besides the question. */
  imagine?: IagMode, };

/** A figure without and with what was trained. */
export type BeforeAfter = {
  /** Without. */
  before: number,
  /** With. */
  after: number, };

/** Which answer of a turn was the best. */
export type CastVote = {
  /** The turn. */
  turn: TurnId,
  /** The best method; `None` means that none was better than the others. */
  winner: Method | null, };

/** A conversation (SQLite row id). */
export type ChatId = number;

/** A window of conversations. */
export type ChatPage = {
  /** Conversations that match, in all. */
  total: number,
  /** Those asked for. */
  chats: Array<ChatSummary>, };

/** A conversation in a list. */
export type ChatSummary = {
  /** Its id. */
  id: ChatId,
  /** Its title: the first question, unless renamed. */
  title: string,
  /** Its collection's name. */
  collection: string,
  /** Its turns. */
  turns: number,
  /** When it was last added to, seconds since 1970. */
  updated_at: number, };

/** A conversation: its turns without their answers, so that a long one opens at once. */
export type ChatView = {
  /** The conversation. */
  chat: ChatSummary,
  /** Its turns, oldest first. */
  turns: Array<TurnHead>, };

/** A chunk of a document (SQLite row id; also the key in the search index). */
export type ChunkId = number;

/** A named set of documents. */
export type Collection = {
  /** Its id. */
  id: CollectionId,
  /** Its name, unique. */
  name: string,
  /** Documents that can be searched. */
  ready_documents: number,
  /** Documents in any state. */
  documents: number,
  /** Pages of the documents that can be searched. */
  pages: number,
  /** Chunks that can be searched. */
  chunks: number, };

/** A collection of documents (SQLite row id). */
export type CollectionId = number;

/** How passages were squeezed into documents. */
export type CompressionReport = {
  /** Documents made. */
  documents: number,
  /** Mean tokens of the passages that went in. */
  tokens_before: number,
  /** Mean tokens of what was left. */
  tokens_after: number,
  /** Share of them that hold the answer, word for word. */
  with_answer: number,
  /** Share where the answer had to be put back. */
  put_back: number, };

/** A part taken away from a method, to see what it was worth. */
export type Control = "shuffled" | "constant" | "zero" | "untrained" | "wrong_route" | "expert_alone" | "untrained_heads" | "lexical" | "random" | "hide_all" | "reveal_all" | "oracle" | "no_document" | "no_hypernetwork" | "constant_features" | "shuffled_features" | "question_features" | "no_feed_forward" | "retrieved";

/** A trained method against one control: the same method with a part of it taken away. */
export type ControlResult = {
  /** The control: `shuffled`, `constant`, ... */
  name: string,
  /** What was measured: `nll` or `f1`. */
  metric: string,
  /** Whether more is better. */
  higher_is_better: boolean,
  /** The method. */
  method: Interval,
  /** Its control, on the same questions. */
  control: Interval,
  /** Method minus control, question by question. */
  difference: Interval, };

/** Where a question belongs. */
export type CorrectRoute = {
  /** The question. */
  question: string,
  /** Its route; from now on the router knows it. */
  route: RouteChoice, };

/** A point of a training curve. */
export type CurvePoint = {
  /** Optimiser steps done. */
  step: number,
  /** Training loss, in nats per token. */
  loss: number,
  /** Loss on held-out material, where it was measured at this step. */
  evaluation: number | null, };

/** Something that happened. */
export type DeskEvent = { "kind": "drag",
  /** Whether they are. */
  over: boolean, } | { "kind": "dropped",
  /** Which. */
  pick: Pick, } | { "kind": "job",
  /** The job. */
  job: JobView, } | { "kind": "library" } | { "kind": "models" } | { "kind": "answer",
  /** As given to `ask`. */
  run: string,
  /** The turn. */
  turn: TurnId,
  /** The method. */
  method: Method,
  /** What happened. */
  event: AnswerEvent, } | { "kind": "answer_failed",
  /** As given to `ask`. */
  run: string,
  /** The turn. */
  turn: TurnId,
  /** The method. */
  method: Method,
  /** Why. */
  error: Error, } | { "kind": "run_ended",
  /** As given to `ask`. */
  run: string,
  /** The turn. */
  turn: TurnId, };

/** A compute device. */
export type Device = {
  /** Short name, for example `CPU` or `Vulkan0`. */
  name: string,
  /** What the driver calls it. */
  description: string,
  /** Memory free now, in bytes; 0 where unknown. */
  memory_free: number,
  /** Memory in all, in bytes; 0 where unknown. */
  memory_total: number, };

/** What `quartet doctor` finds. */
export type Diagnosis = {
  /** Quartet's version. */
  version: string,
  /** Processor, cores and memory. */
  machine: string,
  /** The data folder. */
  data: string,
  /** The settings file. */
  settings: string,
  /** Folders that are looked at for models. */
  model_folders: Array<string>,
  /** What can compute, or why that could not be found out. */
  devices: { Ok : Array<Device> } | { Err : Error },
  /** Which base was chosen for this machine and why, once measured. */
  base: MachineProfile | null,
  /** A digest of everything in each collection, by name: equal content, equal digest. */
  fingerprints: { [key in string]: string },
  /** What is wrong, with what to do about it. Empty means healthy. */
  problems: Array<Error>, };

/** A file that was given to Quartet, and what became of it. */
export type Document = {
  /** Its id. */
  id: DocumentId,
  /** The collection it is in. */
  collection: CollectionId,
  /** Where it was read from. */
  path: string,
  /** Digest of its content, once read. */
  sha256: Sha256 | null,
  /** Its title: from the first page, else the file's name. */
  title: string,
  /** What became of it. */
  status: DocumentStatus,
  /** Why, where the status is not [`DocumentStatus::Ready`]; also set on a duplicate. */
  reason: string | null,
  /** What the user can do, where something can be done. */
  hint: string | null,
  /** The document with the same content that is searched in its place. */
  duplicate_of: DocumentId | null,
  /** Pages read. */
  pages: number,
  /** Pages that could not be read though others could. */
  failed_pages: number,
  /** Chunks made. */
  chunks: number,
  /** Size of the file, in bytes. */
  bytes: number,
  /** When it was first given, seconds since 1970. */
  added_at: number, };

/** A document: one content, however many paths lead to it (SQLite row id). */
export type DocumentId = number;

/** A window of documents. */
export type DocumentPage = {
  /** Documents that match, in all. */
  total: number,
  /** Those asked for. */
  documents: Array<Document>,
  /** How many documents of the collection have each status, whatever was searched for. */
  counts: Array<StatusCount>, };

/** What became of a file. */
export type DocumentStatus = "queued" | "extracted" | "ready" | "failed" | "protected" | "no_text" | "missing";

/** An error that a person can act on. */
export type Error = {
  /** What kind of thing went wrong. */
  code: ErrorCode,
  /** What happened, in one sentence, without the subject's path. */
  message: string,
  /** What to do about it. */
  hint: string | null,
  /** The file, folder, model or collection it is about. */
  subject: string | null, };

/** What kind of thing went wrong. Shells classify by code, never by message text. */
export type ErrorCode = "invalid_input" | "not_found" | "protected" | "no_text" | "bad_file" | "limit_exceeded" | "bad_model" | "model_missing" | "does_not_fit" | "prompt_too_long" | "not_supported" | "worker_died" | "cancelled" | "read_only" | "disk_full" | "busy" | "corrupt" | "io" | "internal";

/** What a domain expert is worth, measured on what it was not trained on. */
export type ExpertReport = {
  /**
   * Perplexity on passages of the collection that were held out of all training; `None` for
   * a collection too small to hold any out.
   */
  in_domain: BeforeAfter | null,
  /** Perplexity on everyday text that has nothing to do with the collection. */
  general: BeforeAfter,
  /**
   * Token F1 of the expert alone, without any document, on held-out wordings of questions
   * whose other wordings were trained; 0 to 1. `None` where there was none to ask.
   */
  closed_book_f1: BeforeAfter | null,
  /** How many questions that was. */
  questions: number,
  /** Passages held out of all training. */
  held_out_passages: number,
  /** Passages trained on. */
  passages: number,
  /** Rows of study material by what made them. */
  rows: { [key in string]: number },
  /** Rows that were dropped, by reason. */
  dropped: { [key in string]: number },
  /** The stages of training. */
  stages: Array<StageReport>,
  /** Wall time of each part of the work, in seconds. */
  seconds: { [key in string]: number },
  /** Seconds that were foretold for the stages before the first of them began. */
  foretold_seconds: number | null, };

/** A conversation to export. */
export type ExportChat = {
  /** Its id. */
  chat: ChatId,
  /** As what. */
  format: ExportFormat, };

/** What a conversation is exported as. */
export type ExportFormat = "markdown" | "json" | "html";

/** A conversation as a file. */
export type ExportedChat = {
  /** A file name to offer. */
  name: string,
  /** Its media type. */
  media_type: string,
  /** Its content. */
  content: string, };

/** Whether a model would fit, worked out from its header before anything is loaded. */
export type FitEstimate = {
  /** Weights, in bytes. */
  weight_bytes: number,
  /** Keys and values for the context asked for, in bytes. */
  kv_cache_bytes: number,
  /** Scratch buffers, in bytes (an estimate). */
  compute_bytes: number,
  /** Memory available now, in bytes. */
  available_bytes: number,
  /** Whether the sum is below what is available, with a margin. */
  fits: boolean, };

/** Which of the two published forms is made. */
export type GagForm = "one_token" | "slots";

/**
 * How a GAG artefact is made. Everything that leaves the paper is a field here with a value
 * that keeps to it.
 */
export type GagOptions = {
  /** Which form. */
  form: GagForm,
  /**
   * Layers read out, counted from the end as in the paper: 1 is the final normalisation,
   * `k` from 2 on the output of block `layers - k`.
   */
  readout: Array<number>,
  /** Slots, and rows injected. */
  slots: number,
  /** How tokens become slots. */
  pooling: SlotPooling,
  /**
   * Standardise each channel by mean and deviation over the training memories, before the
   * clamp. The paper does not.
   */
  standardise: boolean,
  /**
   * Begin with rows as long as the base's own token embeddings. The paper's start makes them
   * about thirty times as long.
   */
  match_scale: boolean,
  /** Train the projector on wordings that the expert was not taught. The paper does not. */
  cross_fit: boolean,
  /** How questions find it. */
  router: RouterForm,
  /** Tokens the expert writes, at most. */
  background_tokens: number,
  /** Weight of the semantic loss. */
  semantic: number,
  /** Weight of the diversity loss. */
  diversity: number, };

/** What a GAG artefact is made of and what it is worth. */
export type GagReport = {
  /** How it was made. */
  options: GagOptions,
  /** The same in words: where it leaves the paper. */
  deviations: Array<NamedOption>,
  /** The expert it listens to: digest of its adapter. */
  expert: Sha256,
  /** That expert's model, by name. */
  expert_model: string,
  /** Digest of that model's file. */
  expert_model_sha256: Sha256,
  /** Numbers trained: projector and layer mix. */
  parameters: number,
  /** Wordings the projector was trained on. */
  memories: number,
  /** Visits to them. */
  visits: number,
  /** Questions measured on, all in wordings nobody was trained on. */
  questions: number,
  /** How many of them were answered too, for F1. */
  answered: number,
  /** Against each control. */
  controls: Array<ControlResult>,
  /**
   * Loss of the right answer, in nats per token, had the expert written it: about the least
   * that these rows and this projector could reach. Never trained on.
   */
  oracle: number | null,
  /** The router. */
  routing: RoutingReport,
  /** The stage of training. */
  stages: Array<StageReport>,
  /** Wall time of each part of the work, in seconds. */
  seconds: { [key in string]: number },
  /** Seconds foretold for training before its first update. */
  foretold_seconds: number | null, };

/** How an answer by GAG came about. */
export type GagTrace = {
  /** The route taken. */
  route: RouteChoice,
  /** Every route with its score, best first. */
  scores: Array<RouteScore>,
  /** Whether a person chose the route for this question. */
  pinned: boolean,
  /**
   * What the expert wrote: its own words, from memory, and no evidence of anything. Empty on
   * the general route.
   */
  background: string,
  /** Rows injected; 0 on the general route. */
  rows: number,
  /** Whether the expert's states were kept from an earlier time. */
  cached: boolean,
  /** What the expert read and wrote. */
  expert: Usage,
  /** Choosing the route, in milliseconds. */
  route_ms: number,
  /** The expert's reading and writing, in milliseconds. */
  expert_ms: number,
  /** Pooling, mixing and projecting, in milliseconds. */
  project_ms: number, };

/** What the window needs to know at its start. */
export type Hello = {
  /** Quartet's version. */
  version: string,
  /** `auto`, `en` or `de`. */
  language: string,
  /** `auto`, `light` or `dark`. */
  theme: string,
  /** The data folder. */
  data_folder: string,
  /** What stands in the way of answering, such as a model that is not installed. */
  problems: Array<Error>, };

/** How evenly passages win, and how far their vectors are apart (card, test 15). */
export type HubReport = {
  /** The largest share of queries that one passage wins. */
  largest_share: number,
  /** Standard deviation of the scores. */
  deviation: number,
  /** Mean cosine between vectors of different passages. */
  mean_cosine: number, };

/** What the weights are made from. */
export type IagFeatures = "question_and_document" | "question";

/** How a question becomes weights. */
export type IagForm = "hypernetwork" | "bank";

/** What stands in the prompt besides the question. */
export type IagMode = "closed_book" | "own_document" | "retrieved";

/**
 * How an IAG artefact is made. Everything that leaves the paper is a field here with a value
 * that keeps to it, or is named in the report.
 */
export type IagOptions = {
  /** How a question becomes weights. */
  form: IagForm,
  /** What they are made from. */
  features: IagFeatures,
  /** Who writes the document. */
  imaginer: Imaginer,
  /** Tokens of a document, at most. */
  document_tokens: number,
  /** Passages that are squeezed into one document. */
  passages: number,
  /** Inner length of the generated changes; the paper's is 32. */
  rank: number,
  /** Hidden units of the hypernetwork; the paper's are 8. */
  hidden: number,
  /** Adapters of a bank. */
  bank: number,
  /** Components kept by the whitening, at most; the paper's are 255. */
  components: number,
  /** Inner length of the static change of the feed-forward layers; 0 leaves them alone. */
  feed_forward_rank: number,
  /** Learn from a teacher that reads the documents. */
  distillation: boolean,
  /** Weight of the divergence from the teacher; the answer itself has the rest. */
  teacher_weight: number,
  /** Weight of the distance from the teacher's hidden states. */
  hidden_weight: number,
  /** The distillation's temperature never falls below 1. */
  clamp_temperature: boolean,
  /**
   * Documents for the second part are written about wordings the imagine model was not
   * taught.
   */
  cross_fit: boolean,
  /** The questions are learnt without a document too, for [`IagMode::ClosedBook`]. */
  closed_book: boolean,
  /**
   * The strength of the weights made for a question is chosen on questions that were not
   * trained on.
   */
  choose_strength: boolean,
  /**
   * Slot numbers as they are, up to the number of layers, as in the code of the paper;
   * otherwise from 0 to 1.
   */
  raw_slots: boolean,
  /** All weights of the hypernetwork begin at a ten-millionth, as in the code of the paper. */
  tiny_start: boolean, };

/** What an IAG artefact is made of and what it is worth. */
export type IagReport = {
  /** How it was made. */
  options: IagOptions,
  /** The same in words: where it leaves the paper. */
  deviations: Array<NamedOption>,
  /** The imagine model, by name. */
  imagine_model: string,
  /** Digest of its file. */
  imagine_model_sha256: Sha256,
  /** Digest of the adapter with which it imagines. */
  imagine_adapter: Sha256,
  /**
   * Digests of the fixed adapters of the base: the feed-forward layers' and, for a bank, its
   * members in order.
   */
  adapters: Array<Sha256>,
  /** Numbers trained in the second part. */
  parameters: number,
  /** Components of the features. */
  components: number,
  /** Questions learnt from. */
  rows: number,
  /** Wordings of them that were learnt without a document too. */
  closed_book_rows: number,
  /** Of them those that learnt from the teacher too. */
  taught_rows: number,
  /** How documents were made. */
  compression: CompressionReport,
  /** Mean tokens of a document the imagine model writes. */
  imagined_tokens: number,
  /** Whether the teacher was worth listening to. */
  gate: TeacherGate | null,
  /**
   * Strengths of the weights made for a question that were tried; that with the least loss is
   * in force.
   */
  strengths: Array<TriedStrength>,
  /** How different questions' weights are. */
  specificity: SpecificityReport,
  /** Questions measured on, all in wordings nobody was trained on. */
  questions: number,
  /** How many of them were answered too, for F1. */
  answered: number,
  /** Against each control. */
  controls: Array<ControlResult>,
  /** The stages of training. */
  stages: Array<StageReport>,
  /** Wall time of each part of the work, in seconds. */
  seconds: { [key in string]: number },
  /** Seconds foretold for training before its first update. */
  foretold_seconds: number | null, };

/** How an answer by IAG came about. */
export type IagTrace = {
  /** What stood in the prompt. */
  mode: IagMode,
  /**
   * The document: the imagine model's own words, and no evidence of anything; or, with
   * [`IagMode::Retrieved`], squeezed words of passages. Empty with [`IagMode::ClosedBook`].
   */
  document: string,
  /** Whether it was written earlier for the same question. */
  cached: boolean,
  /** What was taken away, in a comparison. */
  control: Control | null,
  /** How the weights were made; `None` where none were. */
  form: IagForm | null,
  /** What the imagine model read and wrote. */
  imagine: Usage,
  /** Tokens that the base read for the features. */
  feature_tokens: number,
  /** Size of the adapter made for the question, in bytes. */
  adapter_bytes: number,
  /** Writing the document, or finding and squeezing passages, in milliseconds. */
  imagine_ms: number,
  /** The features, in milliseconds. */
  feature_ms: number,
  /** Making the weights, in milliseconds. */
  generate_ms: number,
  /** Handing them to the engine, in milliseconds. */
  load_ms: number, };

/** Who writes the imagined document. */
export type Imaginer = "expert" | "base";

/** How much of a collection is prepared for a base. */
export type ImplicitStatus = {
  /** The collection. */
  collection: string,
  /** The base. */
  base: string,
  /** How passages are read. */
  mode: ImpragMode,
  /** What was taught. */
  tier: ImpragTier,
  /** First and last layer that read passages. */
  layers: [number, number],
  /** Passages there are. */
  passages: number,
  /** Passages that can be found: they have a vector. */
  vectors: number,
  /** Whether all of them can. */
  is_whole: boolean,
  /** Tokens of those with a vector. */
  tokens: number,
  /** Bytes of a vector. */
  vector_bytes: number,
  /** Passages whose states are on disk. */
  states: number,
  /** Bytes of these states. */
  state_bytes: number,
  /** Bytes of the states of a passage, on average; 0 where there are none. */
  state_bytes_per_passage: number,
  /** Bytes that states of all collections may take. */
  state_limit: number, };

/** Files to read into a collection. */
export type ImportPick = {
  /** The id of a [`super::Pick`]. */
  pick: string,
  /** The collection's name; it is made if it does not exist. */
  collection: string,
  /** Keep the folders among them linked: read again whenever something changes in them. */
  link: boolean, };

/** How passages are encoded for reading. */
export type ImpragMode = "fast" | "quality";

/** What an ImpRAG artefact is made of and what it is worth. */
export type ImpragReport = {
  /** How it was made. */
  settings: ImpragSettings,
  /** What was taught. */
  tier: ImpragTier,
  /** The adapter that makes queries, beyond the starting point. */
  query: Sha256 | null,
  /** The adapter that makes passage vectors. */
  passage: Sha256 | null,
  /** The adapter in force while answers are written. */
  reader: Sha256 | null,
  /** The adapter in force while passages are encoded for reading; the bare model where `None`. */
  states: Sha256 | null,
  /**
   * Adapters of the shipped starting point that it was taught on top of, by digest: the
   * retriever, and where reading was taught as well the reader. Empty where it began with the
   * bare model. Once others are shipped, it is stale.
   */
  start: Array<Sha256>,
  /** Numbers trained. */
  parameters: number,
  /** Training queries by format. */
  queries: { [key in string]: number },
  /** Recall on queries that were not trained. */
  retrieval: Array<RetrievalResult>,
  /** Hubs before and after. */
  hubs: [HubReport, HubReport],
  /** Raw best score below which the documents are taken not to hold the answer. */
  threshold: number | null,
  /** The stages of training. */
  stages: Array<StageReport>,
  /** Wall time of each part of the work, in seconds. */
  seconds: { [key in string]: number }, };

/**
 * Everything that decides how passages become vectors and how they are read. A vector or a
 * stored state of other settings is another one.
 */
export type ImpragSettings = {
  /**
   * Layer `b`, from 0: its queries and keys are the vectors (sections 3.1 and 3.2), and it is
   * the first that reads passages.
   */
  first_layer: number,
  /** Layer `t`, from 0: the last that reads passages. */
  last_layer: number,
  /**
   * Tokens of a passage, at most (`l_max`, not stated in the paper). The prompt stands at
   * `passages * longest`.
   */
  longest: number,
  /** Passages read (`k`). */
  passages: number,
  /** How passages are encoded for reading. */
  mode: ImpragMode, };

/** How much of the model is taught. */
export type ImpragTier = "untaught" | "start" | "t0" | "t1q" | "t1" | "t3";

/** What happened in an answer by implicit query. */
export type ImpragTrace = {
  /** How the passages were encoded. */
  mode: ImpragMode,
  /** What had been taught. */
  tier: ImpragTier,
  /** Layers that read the passages, first and last. */
  layers: [number, number],
  /**
   * Raw inner products of the passages that were read, in the order in which they were read;
   * `None` for one that was found in another way.
   */
  scores: Array<number | null>,
  /** The largest raw inner product of all passages; `None` where there are none. */
  best: number | null,
  /**
   * Below this best score the documents are taken not to hold the answer; `None` where it was
   * never calibrated.
   */
  threshold: number | null,
  /** Whether words were searched as well (BM25): not what the paper does. */
  is_hybrid: boolean,
  /** What was taken away, in a comparison. */
  control: Control | null,
  /** Tokens of the passages that were read. */
  passage_tokens: number,
  /** Reading the prompt up to layer `b`, in milliseconds. */
  query_ms: number,
  /** Finding the passages, in milliseconds. */
  search_ms: number,
  /**
   * Passages whose states had to be made for this question: in fast mode those that were not
   * on disk, in quality mode all.
   */
  encoded: number,
  /**
   * Making those that were not on disk, in milliseconds. In quality mode it is part of
   * reading the prompt ([`Timings::prefill_ms`](crate::Timings::prefill_ms)), as is reading
   * states from disk.
   */
  encode_ms: number,
  /** Bytes of states read from disk. */
  restored_bytes: number, };

/** A value with its 95 % interval. */
export type Interval = {
  /** The mean. */
  value: number,
  /** Lower end. */
  low: number,
  /** Upper end. */
  high: number, };

/** A long-running piece of work, as stored and as shown. */
export type Job = {
  /** Its id. */
  id: JobId,
  /** What it does. */
  kind: JobKind,
  /** The collection it works on. */
  collection: CollectionId | null,
  /** Where it stands. */
  state: JobState,
  /** How far it is. */
  progress: JobProgress,
  /** Why it failed. */
  error: Error | null,
  /** When it was created, seconds since 1970. */
  created_at: number,
  /** When it last changed, seconds since 1970. */
  updated_at: number, };

/** A long-running job (SQLite row id). */
export type JobId = number;

/** What a job does. */
export type JobKind = "import" | "exam" | "synthesise" | "train" | "encode";

/** How far a job is. */
export type JobProgress = {
  /** What is being done, for example `reading` or `embedding`. */
  stage: string,
  /** What it is being done to, for example a file name. */
  subject: string | null,
  /** Units done in this stage. */
  done: number,
  /** Units in this stage, where known. */
  total: number | null,
  /** What is counted. */
  unit: ProgressUnit,
  /** Units per second, smoothed; `None` until measured. */
  rate: number | null,
  /** Seconds to the end of the job, where it can be estimated. */
  eta_seconds: number | null,
  /** What the last step of a training came to. */
  point: CurvePoint | null, };

/** Where a job stands. */
export type JobState = "queued" | "running" | "paused" | "interrupted" | "finished" | "failed" | "cancelled";

/** A job with what a window shows beside it. */
export type JobView = {
  /** The job. */
  job: Job,
  /** The name of its collection. */
  collection: string | null,
  /** The loss so far, for training. */
  curve: Array<CurvePoint>, };

/** A line of the journal. */
export type JournalEntry = {
  /** When, seconds since 1970. */
  happened_at: number,
  /** When, in local time, as `2026-11-21 14:05`. */
  when: string,
  /** What: `added`, `updated`, `removed`, `missing` or `failed`. */
  change: string,
  /** To which file. */
  path: string, };

/** A folder that is read again whenever something changes in it. */
export type LinkedFolder = {
  /** Its id. */
  id: number,
  /** Its collection's name. */
  collection: string,
  /** Where it is. */
  path: string,
  /** Whether it is there now. */
  found: boolean,
  /** When it was last brought up to date, seconds since 1970. */
  synced_at: number | null, };

/** A window of the conversations, newest first. */
export type ListChats = {
  /** Only those about this collection. */
  collection: string | null,
  /** Only those whose questions or answers contain this; empty for all. */
  query: string,
  /** Conversations to leave out at the start. */
  offset: number,
  /** Conversations to return, at most. */
  limit: number, };

/** A window of the documents of a collection. */
export type ListDocuments = {
  /** The collection's name. */
  collection: string,
  /** Only documents whose title or path contains this; empty for all. */
  query: string,
  /** Only documents of this status. */
  status: DocumentStatus | null,
  /** Documents to leave out at the start. */
  offset: number,
  /** Documents to return, at most. */
  limit: number, };

/** A model in memory. */
export type LoadedModel = {
  /** Its name. */
  name: string,
  /** The device really computing, for example `CPU` or `CUDA0`. */
  device: string,
  /** Context length, in tokens. */
  context: number, };

/** What was measured, and what follows from it. */
export type MachineProfile = {
  /** The base model chosen. */
  base: string,
  /** Why, in one sentence for people. */
  reason: string,
  /** Prompt tokens per second of the small base, as measured. */
  small_tokens_per_second: number | null, };

/** A way of getting private knowledge into the base model. */
export type Method = "none" | "rag" | "gag" | "iag" | "imprag";

/** Whether a method can answer. */
export type MethodState = "ready" | "needs_training";

/** Whether a method can answer from a collection. */
export type MethodStatus = {
  /** The method. */
  method: Method,
  /** Whether it can answer. */
  state: MethodState,
  /** What it needs before it can answer, in a sentence. */
  needs: string | null,
  /** How long getting ready will take, in seconds, where it can be estimated. */
  estimate_seconds: number | null,
  /** Whether `start_training` can begin with it now. */
  can_start: boolean, };

/** The name a loaded model goes by: a catalog name (`small`) or a file stem. */
export type ModelId = string;

/** What a model is for. */
export type ModelRole = "base" | "expert" | "embedder";

/** A model. */
export type ModelView = {
  /** The name it goes by. */
  name: string,
  /** What it is for. */
  role: ModelRole,
  /** Where it is, if it is installed. */
  path: string | null,
  /** Size of the file, in bytes. */
  size: number,
  /** Its licence, where known. */
  licence: string | null,
  /** One sentence. */
  description: string,
  /** Whether it would fit into memory with the context that is set. */
  fit: FitEstimate | null,
  /** What is wrong with it. */
  problem: Error | null,
  /** Whether the user added it, and may take it off the list. */
  added_by_user: boolean, };

/** The models, and which one answers. */
export type ModelsView = {
  /** Every model of the catalog, then every other model found. */
  models: Array<ModelView>,
  /** The base as set: `auto`, or a model's name. */
  base: string,
  /** What `auto` has chosen here and why, once measured. */
  profile: MachineProfile | null,
  /** What is loaded now, and on which device it really computes. */
  loaded: Array<LoadedModel>,
  /** Folders that are looked at for models. */
  folders: Array<string>, };

/** About something with a name. */
export type Named = {
  /** The name. */
  name: string, };

/** A deviation from the paper, on or off. */
export type NamedOption = {
  /** Its name. */
  name: string,
  /** Whether it was in force. */
  on: boolean,
  /** What it does and why. */
  why: string, };

/** Nothing to say; also the reply of a command that has none. */
export type Nothing = Record<string, never>;

/** About a conversation. */
export type OfChat = {
  /** Its id. */
  chat: ChatId, };

/** About a collection. */
export type OfCollection = {
  /** Its name. */
  collection: string, };

/** About a correction of a route. */
export type OfCorrection = {
  /** Its id. */
  id: number, };

/** About documents. */
export type OfDocuments = {
  /** Their ids. */
  documents: Array<DocumentId>, };

/** About a linked folder. */
export type OfFolder = {
  /** Its id. */
  folder: number, };

/** About a job. */
export type OfJob = {
  /** Its id. */
  job: JobId, };

/** About a page. */
export type OfPage = {
  /** The document. */
  document: DocumentId,
  /** The page. */
  page: PageNumber, };

/** About files that were dropped, picked or uploaded. */
export type OfPick = {
  /** The id of a [`super::Pick`]. */
  pick: string, };

/** About answers being made. */
export type OfRun = {
  /** The id given to `ask`. */
  run: string, };

/** About turns of conversations. */
export type OfTurns = {
  /** Their ids. */
  turns: Array<TurnId>, };

/** Whether the documents hold an answer. */
export type Outcome = "answered" | "not_in_documents";

/** A page of a PDF, counted from 1 as readers do (the cover is page 1). */
export type PageNumber = number;

/** A page of a document as Quartet read it. */
export type PageOfDocument = {
  /** The document. */
  document: Document,
  /** The page. */
  page: PageNumber,
  /** Its text, which character spans refer to; `None` if the page could not be read. */
  text: string | null, };

/** A range of characters (not bytes) on a page's normalised text. */
export type PageSpan = {
  /** Which page. */
  page: PageNumber,
  /** First character. */
  start: number,
  /** One past the last character. */
  end: number, };

/** A chunk that was found, with what is needed to show and cite it. */
export type Passage = {
  /** The chunk. */
  chunk: ChunkId,
  /** Its document. */
  document: DocumentId,
  /** The document's title. */
  title: string,
  /** The document's path. */
  path: string,
  /** Where the text stands. */
  span: PageSpan,
  /** The heading it stands under. */
  heading: string | null,
  /** The text. */
  text: string, };

/**
 * Files the user chose: dropped, picked in a dialog, or uploaded. The page sees this id and
 * never chooses a path.
 */
export type Pick = {
  /** Its id. */
  id: string,
  /** Names of the first few, without folders. */
  names: Array<string>,
  /** Files among them. */
  files: number,
  /** Folders among them. */
  folders: number, };

/** How much time a training may take. */
export type Preset = "quick" | "standard" | "thorough";

/** What the program has open, as the operating system tells. */
export type PrivacyView = {
  /** Whether this system lets a program look at itself (Linux does). */
  available: boolean,
  /** This process and its workers. */
  processes: Array<ProcessView>,
  /** Internet sockets among what is open; the window has none. */
  internet_sockets: number,
  /** The data folder. */
  data_folder: string,
  /** A command that shows the same from outside. */
  verify: string, };

/** A process and what it has open. */
export type ProcessView = {
  /** Its id. */
  id: number,
  /** What it is: `window`, `engine`, `pdf`, `trainer`, or its name. */
  name: string,
  /** Files, without those of the system. */
  files: Array<string>,
  /** Sockets by family: `unix`, `internet`, `netlink`, `other`. */
  sockets: Array<SocketCount>, };

/** What a job counts. */
export type ProgressUnit = "files" | "pages" | "chunks" | "questions" | "texts" | "steps";

/** Another name. */
export type Rename = {
  /** The name now. */
  name: string,
  /** The name from now on. */
  to: string, };

/** Another title for a conversation. */
export type RenameChat = {
  /** Its id. */
  chat: ChatId,
  /** The title from now on. */
  title: string, };

/** Recall of one retriever on one format of questions. */
export type RetrievalResult = {
  /** The format: `question`, `gap`, `next_sentence`. */
  format: string,
  /** The retriever: `implicit`, `untrained`, `start`, `lexical`, `dense`, `hybrid`. */
  retriever: string,
  /** Queries. */
  queries: number,
  /** Share of them with a right passage among the first ten. */
  recall_10: number,
  /** Mean of one over the rank of the first right passage, 0 beyond ten. */
  mrr_10: number, };

/** A route that a person chose. */
export type RouteChoice = "general" | { "domain": CollectionId };

/** A question that a person sent elsewhere; it is one more prototype of that route. */
export type RouteCorrection = {
  /** Its id. */
  id: number,
  /** The question. */
  question: string,
  /** Where it belongs. */
  route: RouteChoice, };

/** How near a question is to a route. */
export type RouteScore = {
  /** The route. */
  route: RouteChoice,
  /** For people: the collection's name, or `general`. */
  name: string,
  /** Cosine with the nearest of its prototypes, -1 to 1. */
  score: number, };

/** How questions are routed. */
export type RouterForm = "prototypes" | "neighbours";

/** How well questions find their route, measured on questions outside the banks. */
export type RoutingReport = {
  /** Prototypes of this domain. */
  prototypes: number,
  /** Routes to choose from, general included. */
  routes: number,
  /** Questions of this domain, and how many of them came here. */
  domain: [number, number],
  /** Everyday questions, and how many of them stayed general. */
  general: [number, number], };

/** A [`Passage`] with its scores. */
export type SearchHit = {
  /** What was found. */
  passage: Passage,
  /** Fused score; higher is better. */
  score: number,
  /** BM25 score and rank (from 1), where the lexical search found it. */
  lexical: [number, number] | null,
  /**
   * Cosine and rank (from 1), where the dense search found it; for ImpRAG the inner product
   * with the implicit query.
   */
  dense: [number, number] | null, };

/** What a search did, for the evidence panel and for abstention. */
export type SearchTrace = {
  /** Terms of the question as the lexical index sees them (stemmed). */
  terms: Array<string>,
  /**
   * For each term, its inverse document frequency in this collection; terms that occur
   * nowhere have the highest.
   */
  idf: Array<number>,
  /** Chunks searched. */
  chunks: number,
  /** Time for the question's vector, in milliseconds. */
  embed_ms: number,
  /** Time for lexical and dense search, fusion and loading the text, in milliseconds. */
  search_ms: number, };

/** Settings; what the file leaves out has its default. */
export type Settings = {
  /** Base model by catalog name or file; `auto` measures this machine once and chooses. */
  base: string,
  /** Context length of the base model, in tokens. */
  context: number,
  /** Threads to compute with; 0 means one per core. */
  threads: number,
  /** Layers of the base model to put on a GPU; -1 means all that fit. */
  gpu_layers: number,
  /**
   * GAG: by how much a domain must be nearer to a question than the general route (cosine, 0
   * to 1); 0 takes the nearest, as the paper does.
   */
  route_margin: number,
  /** ImpRAG: states of passages kept on disk, of all collections together, in MiB; 0 keeps none. */
  passage_states_mb: number,
  /**
   * ImpRAG: whether words are searched as well and both lists fused, which the paper does not:
   * `auto` (unless implicit queries were measured to find as much here), `always` or `never`.
   */
  imprag_words: string,
  /** Longest a single PDF may take to read, in seconds. */
  pdf_seconds: number,
  /** Language of the window: `auto`, `en` or `de`. */
  language: string,
  /** Colours of the window: `auto`, `light` or `dark`. */
  theme: string, };

/** The settings, and what they are about. */
export type SettingsView = {
  /** In force. */
  settings: Settings,
  /** Without any file. */
  defaults: Settings,
  /** The settings file. */
  file: string,
  /** The data folder. */
  data_folder: string,
  /** How much it holds, in bytes. */
  data_bytes: number,
  /** Processor, cores and memory. */
  machine: string,
  /** Processor cores. */
  cores: number, };

/** A SHA-256 digest in lower-case hexadecimal (64 characters). */
export type Sha256 = string;

/** How the states of a segment's tokens become one slot. */
export type SlotPooling = { "norm_softmax": {
    /** Divides the lengths. */
    temperature: number, } } | "scaled_norm_softmax" | "mean";

/** How many sockets of a family are open. */
export type SocketCount = {
  /** `unix`, `internet`, `netlink` or `other`. */
  family: string,
  /** How many. */
  count: number, };

/** How different the weights of different questions are (card, test 7). */
export type SpecificityReport = {
  /** Pairs of questions compared. */
  pairs: number,
  /**
   * Mean length of the difference of two questions' weight changes over the mean length of
   * the changes.
   */
  distance: number, };

/** A stage of a training. */
export type StageReport = {
  /** Its name. */
  name: string,
  /** Its loss curve. */
  curve: Array<CurvePoint>,
  /** Whether it ended because the held-out loss no longer fell. */
  is_early: boolean, };

/** Training to begin. */
export type StartTraining = {
  /** The method to train. */
  method: Method,
  /** The collection to train it on. */
  collection: string,
  /** How long. */
  preset: Preset, };

/** How many documents have a status. */
export type StatusCount = {
  /** The status. */
  status: DocumentStatus,
  /** How many. */
  count: number, };

/** A span of a document that supports a sentence, found by our own matcher. */
export type Support = {
  /** Index into [`Answer::retrieved`]. */
  passage: number,
  /** The document. */
  document: DocumentId,
  /** Where in the document. */
  span: PageSpan,
  /** Share of the sentence's content that the span carries, from 0 to 1. */
  score: number, };

/** Whether there is anything to learn from a teacher that reads the documents (card, test 19). */
export type TeacherGate = {
  /** Questions asked of both. */
  questions: number,
  /** Share of exact answers of the teacher, with passages. */
  teacher: number,
  /** Share of exact answers of the student, without. */
  student: number,
  /** Mean token F1 of the teacher. */
  teacher_f1: number,
  /** Mean token F1 of the student. */
  student_f1: number,
  /** Whether the teacher is enough better to learn from. */
  is_open: boolean, };

/** How long each part took, in milliseconds. */
export type Timings = {
  /** Waiting for the engine. */
  queue_ms: number,
  /** Search, including the question's vector. */
  search_ms: number,
  /** Reading the prompt. */
  prefill_ms: number,
  /** From the question to the first character of the answer. */
  first_token_ms: number,
  /** Writing. */
  decode_ms: number,
  /** From the question to the end. */
  total_ms: number, };

/** An expert to train. */
export type TrainExpert = {
  /** The collection it is taught. */
  collection: string,
  /** How long. */
  preset: Preset, };

/** How strongly weights made for a question are in force, and what that comes to. */
export type TriedStrength = {
  /** From 0, nothing, to 1, as they were trained. */
  strength: number,
  /** Loss of questions that were not trained on, in nats per token. */
  loss: number, };

/** A turn: a question and what became of it. */
export type Turn = {
  /** Its id. */
  id: TurnId,
  /** The conversation. */
  chat: ChatId,
  /** The question. */
  question: string,
  /** When it was asked, seconds since 1970. */
  created_at: number,
  /** Whether the methods' names stay hidden until a vote. */
  blind: boolean,
  /** What each method made of it, in the order of [`Method::ALL`]. */
  outcomes: Array<TurnOutcome>,
  /** The vote, if one was cast. */
  vote: Vote | null, };

/** A turn without its answers. */
export type TurnHead = {
  /** Its id. */
  id: TurnId,
  /** The question. */
  question: string,
  /** When it was asked, seconds since 1970. */
  created_at: number, };

/** A question in a conversation, with all its answers (SQLite row id). */
export type TurnId = number;

/** What a method made of a question: an answer, or why there is none. */
export type TurnOutcome = {
  /** The method. */
  method: Method,
  /** The answer. */
  answer: Answer | null,
  /** Why there is none: stopped, or failed. */
  error: Error | null,
  /** What had been written by then. */
  partial: string | null, };

/** What was read and written. */
export type Usage = {
  /** Tokens read by the base model. */
  tokens_read: number,
  /** Tokens written by the base model. */
  tokens_written: number,
  /** Bytes of documents' text given to the model. */
  bytes_read: number, };

/** A vote. */
export type Vote = {
  /** The turn. */
  turn: TurnId,
  /** The best method; `None` means that none was better than the others. */
  winner: Method | null,
  /** Whether the names were hidden. */
  blind: boolean, };

/** The votes on a method, over turns in which it was compared with another. */
export type VoteCount = {
  /** The method. */
  method: Method,
  /** Votes for it. */
  won: number,
  /** Votes for another. */
  lost: number,
  /** Votes for none. */
  tied: number,
  /** Of all these, how many were cast without seeing the names. */
  blind: number, };

/** Every command: what it is asked and what it replies. */
export interface Commands {
  hello: { request: Nothing; reply: Hello };
  methods: { request: OfCollection; reply: Array<MethodStatus> };
  list_collections: { request: Nothing; reply: Array<Collection> };
  create_collection: { request: Named; reply: Collection };
  rename_collection: { request: Rename; reply: Collection };
  delete_collection: { request: Named; reply: Nothing };
  list_documents: { request: ListDocuments; reply: DocumentPage };
  delete_documents: { request: OfDocuments; reply: Nothing };
  retry_documents: { request: OfCollection; reply: JobView };
  page_text: { request: OfPage; reply: PageOfDocument };
  history: { request: OfCollection; reply: Array<JournalEntry> };
  import_pick: { request: ImportPick; reply: JobView };
  linked_folders: { request: OfCollection; reply: Array<LinkedFolder> };
  sync_folder: { request: OfFolder; reply: JobView };
  unlink_folder: { request: OfFolder; reply: Nothing };
  list_jobs: { request: Nothing; reply: Array<JobView> };
  pause_job: { request: OfJob; reply: Nothing };
  resume_job: { request: OfJob; reply: Nothing };
  cancel_job: { request: OfJob; reply: Nothing };
  start_training: { request: StartTraining; reply: JobView };
  train_expert: { request: TrainExpert; reply: JobView };
  index_passages: { request: OfCollection; reply: JobView };
  passage_index: { request: OfCollection; reply: ImplicitStatus };
  artefacts: { request: OfCollection; reply: Array<Artefact> };
  correct_route: { request: CorrectRoute; reply: Array<RouteCorrection> };
  route_corrections: { request: Nothing; reply: Array<RouteCorrection> };
  undo_route: { request: OfCorrection; reply: Array<RouteCorrection> };
  list_chats: { request: ListChats; reply: ChatPage };
  create_chat: { request: OfCollection; reply: ChatSummary };
  rename_chat: { request: RenameChat; reply: ChatSummary };
  delete_chat: { request: OfChat; reply: Nothing };
  open_chat: { request: OfChat; reply: ChatView };
  turns: { request: OfTurns; reply: Array<Turn> };
  export_chat: { request: ExportChat; reply: ExportedChat };
  ask: { request: AskTurn; reply: TurnHead };
  stop: { request: OfRun; reply: Nothing };
  cast_vote: { request: CastVote; reply: Vote };
  votes: { request: Nothing; reply: Array<VoteCount> };
  list_models: { request: Nothing; reply: ModelsView };
  devices: { request: Nothing; reply: Array<Device> };
  add_model: { request: OfPick; reply: ModelView };
  remove_model: { request: Named; reply: Nothing };
  settings: { request: Nothing; reply: SettingsView };
  save_settings: { request: Settings; reply: SettingsView };
  diagnose: { request: Nothing; reply: Diagnosis };
  privacy: { request: Nothing; reply: PrivacyView };
}
