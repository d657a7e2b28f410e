import type { Answer, IagMode, IagTrace } from '../../bindings';

const documents: Record<IagMode, string> = {
  own_document: 'Dryer filter change every 500 operating hours, dusty surroundings half interval. Spare filter kept drying room.',
  closed_book: '',
  retrieved: 'filter changed every 500 operating hours dusty surroundings halve interval',
};

/** The answer as IAG gives it: what is imagined supports no sentence; what was retrieved does. */
export function withImagination(answer: Answer, mode: IagMode): Answer {
  const grounded = mode === 'retrieved';
  const closed = mode === 'closed_book';
  const trace: IagTrace = {
    mode,
    document: documents[mode],
    cached: false,
    control: null,
    form: 'hypernetwork',
    imagine: { tokens_read: closed ? 0 : grounded ? 231 : 24, tokens_written: closed || grounded ? 0 : 27, bytes_read: 0 },
    feature_tokens: closed ? 14 : 43,
    adapter_bytes: 1_204_224,
    imagine_ms: closed ? 0 : grounded ? 388 : 296,
    feature_ms: 58,
    generate_ms: 2.4,
    load_ms: 3.1,
  };
  const before = trace.imagine_ms + trace.feature_ms + trace.generate_ms + trace.load_ms;
  const [prefill_ms, decode_ms] = [82, 410];
  return {
    ...answer,
    sentences: grounded ? answer.sentences : answer.sentences.map((sentence) => ({ ...sentence, support: null })),
    retrieved: grounded ? answer.retrieved : [],
    read: grounded ? answer.read : [],
    used: grounded ? answer.used : [],
    iag: trace,
    timings: { queue_ms: 2, search_ms: grounded ? 18 : 0, prefill_ms, first_token_ms: before + prefill_ms, decode_ms, total_ms: before + prefill_ms + decode_ms + 4 },
    usage: { tokens_read: closed ? 30 : 89, tokens_written: 19, bytes_read: grounded ? 76 : 0 },
    prompt: `${closed ? '' : `Context: ${trace.document}\n`}Question: ${answer.question}\nAnswer:`,
  };
}
