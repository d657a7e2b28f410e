/** Routes of GAG in words, and what is the same route. */

import type { Collection, GagTrace, RouteChoice, RouteScore } from '../bindings';
import { t } from '../i18n';

export function sameRoute(one: RouteChoice, other: RouteChoice): boolean {
  if (one === 'general' || other === 'general') return one === other;
  return one.domain === other.domain;
}

/** The name of a route: `General`, or the expert on a collection of this name. */
export function routeName(route: RouteChoice, name: string | undefined): string {
  if (route === 'general') return t('gag.general');
  return name === undefined ? t('gag.expert.unnamed') : t('gag.expert', { name });
}

/** The name of a route: as it was called when routes were compared, else as the collection is called now. */
export function routeAmong(scores: RouteScore[], route: RouteChoice, collections: Pick<Collection, 'id' | 'name'>[] = []): string {
  const scored = scores.find((score) => sameRoute(score.route, route));
  const known = collections.find(({ id }) => route !== 'general' && id === route.domain);
  return routeName(route, (scored ?? known)?.name);
}

/** What tells a route from every other, as a key. */
export const routeKey = (route: RouteChoice): string => (route === 'general' ? route : String(route.domain));

/** Whether an expert was asked. One that writes nothing leaves the answer to the base, on the general route. */
export const expertAsked = ({ route, expert_ms }: GagTrace): boolean => route !== 'general' || expert_ms > 0;
