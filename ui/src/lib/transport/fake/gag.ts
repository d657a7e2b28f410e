import type { Answer, GagTrace, RouteChoice, RouteCorrection, RouteScore } from '../../bindings';
import type { Handlers } from '../fake';

/** A router that follows a word, what it was told, and what was pinned. */
export interface FakeRoutes {
  traceOf(question: string, pinned: RouteChoice | null): GagTrace;
  handlers: Handlers;
}

const background =
  'The filter of the dryer is changed at fixed intervals. I remember five hundred hours of operation, and half of that where there is dust. A spare one is kept in the drying room.';

export function fakeRoutes(): FakeRoutes {
  let corrections: RouteCorrection[] = [];
  let ids = 0;
  return {
    traceOf(question, pinned) {
      const told = corrections.find((one) => one.question === question.trim())?.route;
      const everyday = /^(hello|hi|hallo|write|tell me a|who are you)/i.test(question);
      const scores: RouteScore[] = [
        { route: { domain: 1 }, name: 'Research', score: told && told !== 'general' && told.domain === 1 ? 1 : everyday ? 0.412 : 0.782 },
        { route: 'general', name: 'general', score: told === 'general' ? 1 : everyday ? 0.866 : 0.611 },
        { route: { domain: 2 }, name: 'House', score: told && told !== 'general' && told.domain === 2 ? 1 : 0.5432 },
      ];
      scores.sort((one, other) => other.score - one.score);
      const route = pinned ?? scores[0]!.route;
      const asked = route !== 'general';
      return {
        route,
        scores,
        pinned: pinned !== null,
        background: asked ? background : '',
        rows: asked ? 4 : 0,
        cached: false,
        expert: { tokens_read: asked ? 31 : 0, tokens_written: asked ? 48 : 0, bytes_read: 0 },
        route_ms: 14.2,
        expert_ms: asked ? 905 : 0,
        project_ms: asked ? 2.6 : 0,
      };
    },
    handlers: {
      route_corrections: () => [...corrections],
      correct_route({ question, route }) {
        corrections = [...corrections.filter((one) => one.question !== question), { id: ++ids, question, route }];
        return [...corrections];
      },
      undo_route({ id }) {
        corrections = corrections.filter((one) => one.id !== id);
        return [...corrections];
      },
    },
  };
}

/** The answer as GAG gives it: nothing searched, no sentence supported. */
export function withRoute(answer: Answer, trace: GagTrace): Answer {
  const general = trace.route === 'general';
  return {
    ...answer,
    sentences: answer.sentences.map((sentence) => ({ ...sentence, support: null })),
    retrieved: [],
    read: [],
    used: [],
    gag: trace,
    timings: { queue_ms: 2, search_ms: 0, prefill_ms: 96, first_token_ms: general ? 130 : 1030, decode_ms: 870, total_ms: general ? 986 : 1893 },
    usage: { tokens_read: general ? 38 : 52, tokens_written: 19, bytes_read: 0 },
    prompt: `Question: ${answer.question}\nKnowledge: ▢▢▢▢`,
  };
}
