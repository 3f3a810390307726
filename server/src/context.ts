import type { Metrics } from './metrics.js'
import type { Service } from './service.js'
import type { Settings } from './settings.js'

/** What routes share. */
export interface RouteContext {
  readonly service: Service
  readonly settings: Settings
  readonly metrics: Metrics
}
