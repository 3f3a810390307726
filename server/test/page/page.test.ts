import type { AddressInfo } from 'node:net'
import { Model, Pool } from 'dotpool'
import fc from 'fast-check'
import Fastify from 'fastify'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createServer, dotpoolRoutes, type Models, type ServerOptions } from '#server/index.js'
import { fixture, loadModel, scripted, start } from '../support.js'
import { browserPath, launch, open, type TestPage } from './browser.js'

const skipped = browserPath === undefined ? ' (skipped: there is no chromium)' : ''

const template = '{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}'

let pool: Pool
let model: Model
let browser: Browser

/** A page of a server of its own. */
interface Session extends TestPage {
  readonly url: string
}

async function visit(
  models: Record<string, Model> | Promise<Models>,
  options: Omit<ServerOptions, 'models'> = {},
  context: Parameters<Browser['newContext']>[0] = {},
): Promise<Session> {
  const server = await start(models, options)
  const session = await open(browser, `${server.url}/`, context)
  const close = async () => {
    await session[Symbol.asyncDispose]()
    await server.close()
  }
  return { ...session, url: server.url, [Symbol.asyncDispose]: close }
}

/** Resolves once the server is in that state, as the page tells. */
async function state(page: Page, kind: string): Promise<void> {
  await page.locator(`#state[data-kind=${kind}]`).waitFor()
}

/** Resolves once the page knows the model. */
async function ready(page: Page): Promise<void> {
  await page.getByText(/The conversation stays/).waitFor()
}

async function ask(page: Page, text: string): Promise<void> {
  await page.locator('#prompt').fill(text)
  await page.keyboard.press('Enter')
}

/** The last answer, once it has come to its end. */
async function answered(page: Page): Promise<string | null> {
  const answer = page.locator('.answer:last-child[aria-busy=false]')
  await answer.waitFor()
  return await answer.locator('.markdown').textContent()
}

/** A model that says a text but for its last characters, until `finish` is called. */
function interrupted(text: string): { model: Model; finish: () => void; signals: AbortSignal[] } {
  let finish: () => void = () => {}
  const gate = new Promise<void>((resolve) => {
    finish = resolve
  })
  const signals: AbortSignal[] = []
  const speaking = scripted(model, text, gate)
  const generate = (_: unknown, { signal }: { signal: AbortSignal }) => {
    signals.push(signal)
    return speaking.generate([0])
  }
  return { model: { ...speaking, generate } as unknown as Model, finish: () => finish(), signals }
}

async function overflow(page: Page): Promise<number> {
  return await page.evaluate('document.documentElement.scrollWidth - innerWidth')
}

describe.skipIf(browserPath === undefined)(`the page${skipped}`, () => {
  beforeAll(async () => {
    pool = await Pool.create({ threads: 2 })
    model = await loadModel(pool, {}, template)
    browser = await launch()
  })
  afterAll(async () => {
    await browser?.close()
    await pool?.close()
  })

  it('streams an answer, and tells how fast it came', async () => {
    const slow = interrupted('The **sky** is blue.')
    await using session = await visit({ model: slow.model })
    const { page, problems } = session
    await ready(page)
    await ask(page, 'Why?')
    await page.locator('.answer[aria-busy=true] strong', { hasText: 'sky' }).waitFor()
    slow.finish()
    expect(await answered(page)).toBe('The sky is blue.')
    expect(await page.locator('.figures').textContent()).toMatch(
      /tokens\/s · first token .* · 7 tok/,
    )
    expect(await page.locator('.question').textContent()).toContain('Why?')
    expect(problems).toEqual([])
  })

  it.each(['Escape', 'the button'])(
    'stops by %s, and has the server end the request',
    async (by) => {
      const slow = interrupted('a b c d e f')
      await using session = await visit({ model: slow.model })
      const { page, problems } = session
      await ready(page)
      await ask(page, 'Count')
      await page.locator('.answer', { hasText: 'a b c' }).waitFor()
      if (by === 'Escape') await page.keyboard.press('Escape')
      else await page.locator('#stop').click()
      expect(await answered(page)).toContain('a b c')
      expect(await page.locator('.figures').textContent()).toMatch(/ · stopped$/)
      await expect.poll(() => slow.signals[0].aborted, { timeout: 30_000 }).toBe(true)
      slow.finish()
      // what was stopped is part of the conversation, and can be asked for again
      await page.getByRole('button', { name: 'Regenerate' }).click()
      expect(await answered(page)).toBe('a b c d e f')
      expect(await page.locator('.answer').count()).toBe(1)
      expect(problems).toEqual([])
    },
  )

  it('keeps the conversation and the settings when it is loaded again, until it is cleared', async () => {
    await using session = await visit({ model: scripted(model, 'An answer.') })
    const { page, problems } = session
    await ready(page)
    await page.getByLabel('Temperature').fill('0.5')
    await ask(page, 'A question')
    await answered(page)
    await page.reload()
    expect(await answered(page)).toBe('An answer.')
    expect(await page.locator('.question').textContent()).toContain('A question')
    expect(await page.getByLabel('Temperature').inputValue()).toBe('0.5')
    await page.getByRole('button', { name: 'Clear' }).click()
    await page.reload()
    await ready(page)
    expect(await page.locator('.turn').count()).toBe(0)
    expect(problems).toEqual([])
  })

  it('tells where the server has gone, and goes on once it is back', async () => {
    const serve = async (port: number) => {
      const app = createServer({ models: { model: scripted(model, 'I am back.') } })
      await app.listen({ host: '127.0.0.1', port })
      return app
    }
    const first = await serve(0)
    const { port } = first.server.address() as AddressInfo
    await using session = await open(browser, `http://127.0.0.1:${port}/`)
    const { page } = session
    await ready(page)
    await first.close()
    await state(page, 'unreachable')
    await ask(page, 'Where are you?')
    await page.getByRole('alert').filter({ hasText: 'cannot be reached' }).waitFor()
    const second = await serve(port)
    await state(page, 'ready')
    await page.getByRole('button', { name: 'Try again' }).click()
    expect(await answered(page)).toBe('I am back.')
    expect(await page.getByRole('alert').count()).toBe(0)
    await second.close()
  })

  it('tells where an answer breaks off, and keeps what came', async () => {
    const slow = interrupted('half an answer')
    const app = createServer({ models: { model: slow.model }, drainSeconds: 0 })
    const url = await app.listen({ host: '127.0.0.1', port: 0 })
    await using session = await open(browser, url)
    const { page } = session
    await ready(page)
    await ask(page, 'Speak')
    await page.locator('.answer', { hasText: 'half an' }).waitFor()
    app.server.closeAllConnections()
    await page.getByRole('alert').filter({ hasText: 'was lost' }).waitFor()
    expect(await page.locator('.answer .markdown').textContent()).toContain('half an')
    slow.finish()
    await app.close()
  })

  it('tells that the model is being loaded, and asks it once it is', async () => {
    let load: (models: Models) => void = () => {}
    const models = new Promise<Models>((resolve) => {
      load = resolve
    })
    await using session = await visit(models)
    const { page } = session
    await state(page, 'unready')
    expect(await page.locator('#state').textContent()).toBe('The model is being loaded.')
    load(new Map([['late', scripted(model, 'Here.')]]))
    await page.getByRole('heading', { name: 'Ask late' }).waitFor()
    await ask(page, 'Well?')
    expect(await answered(page)).toBe('Here.')
  })

  it('sends the settings, and of those that are empty none', async () => {
    using thinker = await loadModel(pool)
    await using session = await visit({ model: scripted(thinker, '</think>Yes.') })
    const { page, problems } = session
    await ready(page)
    const bodies: object[] = []
    page.on('request', (request) => {
      if (request.url().endsWith('/v1/chat/completions')) bodies.push(request.postDataJSON())
    })
    await ask(page, 'One')
    await answered(page)
    const fields = { 'Top p': '0.9', 'Top k': '40', 'Min p': '0.05', 'Max tokens': '7', Seed: '3' }
    for (const [label, value] of Object.entries(fields)) await page.getByLabel(label).fill(value)
    await page.getByLabel('Temperature').fill('0')
    await page.getByLabel('System prompt').fill('Be brief.')
    await page.getByLabel('Thinking').selectOption('on')
    await ask(page, 'Two')
    await page.locator('.answer').nth(1).waitFor()
    await answered(page)
    const streamed = { stream: true, stream_options: { include_usage: true } }
    const one = [{ role: 'user', content: 'One' }]
    expect(bodies).toEqual([
      { model: 'model', messages: one, ...streamed },
      {
        model: 'model',
        messages: [
          { role: 'system', content: 'Be brief.' },
          ...one,
          { role: 'assistant', content: '</think>Yes.' },
          { role: 'user', content: 'Two' },
        ],
        ...{ temperature: 0, top_p: 0.9, top_k: 40, min_p: 0.05, max_tokens: 7, seed: 3 },
        chat_template_kwargs: { enable_thinking: true },
        ...streamed,
      },
    ])
    expect(problems).toEqual([])
  })

  it('does not send a setting that is out of range, but shows it', async () => {
    await using session = await visit({ model: scripted(model, 'No.') })
    const { page } = session
    await ready(page)
    await page.getByLabel('Top p').fill('2')
    await ask(page, 'Go')
    expect(await page.evaluate('document.activeElement.name')).toBe('top_p')
    expect(await page.locator('.turn').count()).toBe(0)
    expect(await page.locator('#prompt').inputValue()).toBe('Go')
  })

  it('folds what the model thinks, and says how long it took', async () => {
    await using session = await visit({
      model: scripted(model, '<think>Let me see.</think>Six times seven.'),
    })
    const { page, problems } = session
    await ready(page)
    await ask(page, 'What is it?')
    expect(await answered(page)).toBe('Six times seven.')
    const thoughts = page.getByText('Let me see.')
    expect(await thoughts.isVisible()).toBe(false)
    await page.getByText(/^Thought for \d/).click()
    expect(await thoughts.isVisible()).toBe(true)
    expect(problems).toEqual([])
  })

  it('continues a text where the model has no chat template', async () => {
    using plain = await Model.load(pool, fixture)
    await using session = await visit({ plain: scripted(plain, ' and thee.') })
    const { page } = session
    await page.getByRole('heading', { name: 'Begin a text for plain' }).waitFor()
    const request = page.waitForRequest(/\/v1\/completions$/)
    await ask(page, 'For me,\n')
    expect(await answered(page)).toBe(' and thee.')
    expect((await request).postDataJSON()).toMatchObject({ prompt: 'For me,\n', max_tokens: 256 })
  })

  it('shows as text what a model writes in HTML', async () => {
    const hostile = [
      'Look: <script>window.hacked = 1</script>',
      '<img src="/livez" onerror="window.hacked = 2" onload="window.hacked = 3">',
      '<div style="position:fixed">over</div>',
      '[a link](javascript:window.hacked=4) ![an image](http://127.0.0.1:9/a.png)',
      '```html\n<script>window.hacked = 5</script>\n```',
    ].join('\n\n')
    await using session = await visit({ model: scripted(model, hostile) })
    const { page, problems } = session
    await ready(page)
    await ask(
      page,
      '<img src="/livez" onload="window.hacked = 6"><script>window.hacked = 7</script>',
    )
    const text = await answered(page)
    expect(text).toContain('<script>window.hacked = 1</script>')
    expect(text).toContain('<div style="position:fixed">over</div>')
    const said = page.locator('#conversation')
    expect(await said.locator('script, img, iframe, [style], [onload], [onerror]').count()).toBe(0)
    const links = await said
      .locator('a')
      .evaluateAll((all) => all.map((a) => a.getAttribute('href')))
    expect(links).toEqual(['http://127.0.0.1:9/a.png'])
    expect(await page.evaluate('window.hacked')).toBeUndefined()
    expect(problems).toEqual([])
  })

  it('makes nothing but harmless elements of any text', async () => {
    const words = [
      ...[
        '<script>',
        '</script>',
        '<img src=x onerror=',
        '<svg/onload=',
        '<a href="',
        '<!--',
        '-->',
      ],
      ...[
        'hacked=1',
        'javascript:hacked=1',
        'data:text/html,<b>',
        '//host/',
        'https://host/',
        '"',
        '>',
      ],
      ...[
        '[',
        '](',
        ')',
        '![',
        '<',
        '`',
        '```\n',
        '*',
        '_',
        '~~',
        '#',
        '- ',
        '1. ',
        '> ',
        '|',
        '|-|\n',
      ],
      ...[
        '\n',
        '\n\n',
        ' ',
        '    ',
        '&lt;',
        '&#106;',
        '\\',
        'a',
        '[a]: javascript:hacked=1\n',
        '[ ] ',
      ],
    ]
    const text = fc.array(fc.constantFrom(...words), { maxLength: 30 }).map((all) => all.join(''))
    const turns = fc.sample(text, 500).map((text) => {
      return { role: 'assistant', model: 'm', text, reasoning: text, outcome: 'done' }
    })
    await using session = await visit({ model: scripted(model, 'a') })
    const { page, problems } = session
    await ready(page)
    const stored = JSON.stringify(JSON.stringify(turns))
    await page.addInitScript(`localStorage.setItem('dotpool.conversation:/', ${stored})`)
    await page.reload()
    await page.locator('.answer').nth(499).waitFor()
    const elements = await page.locator('.markdown *').evaluateAll((all) =>
      all.map((element) => ({
        tag: element.tagName.toLowerCase(),
        attributes: [...element.attributes].map(({ name }) => name),
        href: element.getAttribute('href'),
      })),
    )
    expect(elements.length).toBeGreaterThan(500)
    const tags = new Set(elements.map(({ tag }) => tag))
    const harmless =
      'h3 h4 h5 h6 p ul ol li blockquote figure figcaption pre code button span hr br '
    const inTables = 'div table thead tbody tr th td a strong em del'
    expect([...tags].filter((tag) => !`${harmless}${inTables}`.split(' ').includes(tag))).toEqual(
      [],
    )
    const attributes = new Set(elements.flatMap(({ attributes }) => attributes))
    const known = ['class', 'href', 'target', 'rel', 'start', 'tabindex', 'type']
    expect([...attributes].filter((name) => !known.includes(name))).toEqual([])
    for (const { href } of elements) expect(href ?? 'https:').toMatch(/^(https?|mailto):/i)
    expect(await page.evaluate('window.hacked')).toBeUndefined()
    expect(problems).toEqual([])
  })

  it('copies an answer', async () => {
    await using session = await visit({ model: scripted(model, 'To *copy*.') })
    const { page } = session
    await page.context().grantPermissions(['clipboard-read', 'clipboard-write'])
    await ready(page)
    await ask(page, 'Say')
    await answered(page)
    await page.getByRole('button', { name: 'Copy' }).click()
    await page.getByRole('button', { name: 'Copied' }).waitFor()
    expect(await page.evaluate('navigator.clipboard.readText()')).toBe('To *copy*.')
  })

  it('is used by the keyboard alone, and shows where the focus is', async () => {
    await using session = await visit({ model: scripted(model, 'Fine.') })
    const { page } = session
    await ready(page)
    await page.keyboard.type('Two')
    await page.keyboard.press('Shift+Enter')
    await page.keyboard.type('lines')
    await page.keyboard.press('Enter')
    expect(await answered(page)).toBe('Fine.')
    expect(await page.locator('.question .said').textContent()).toBe('Two\nlines')
    const focused = async () => {
      const seen = '[document.activeElement.id || document.activeElement.textContent, '
      const outline = 'getComputedStyle(document.activeElement).outlineStyle]'
      return (await page.evaluate(`${seen}${outline}`)) as [string, string]
    }
    // to the send button and on, and back past what belongs to the answer
    const order: string[] = []
    for (const key of ['Tab', 'Shift+Tab', 'Shift+Tab', 'Shift+Tab']) {
      await page.keyboard.press(key)
      const [name, outline] = await focused()
      expect(outline).not.toBe('none')
      order.push(name)
    }
    expect(order).toEqual(['send', 'prompt', 'Regenerate', 'Copy'])
  })

  it('has no horizontal scroll bar at 360 px, and a panel over the conversation', async () => {
    const wide = `${'long'.repeat(40)}\n\n| a | b |\n|-|-|\n| ${'x'.repeat(90)} | y |\n\n\`\`\`\n${'code '.repeat(40)}\n\`\`\``
    const context = { viewport: { width: 360, height: 640 } }
    await using session = await visit({ model: scripted(model, wide) }, {}, context)
    const { page, problems } = session
    await ready(page)
    expect(await overflow(page)).toBe(0)
    await ask(page, 'w'.repeat(200))
    await answered(page)
    expect(await overflow(page)).toBe(0)
    expect(await page.locator('#panel').isVisible()).toBe(false)
    await page.getByRole('button', { name: 'Panel' }).click()
    await page.getByLabel('Seed').fill('1')
    expect(await overflow(page)).toBe(0)
    await page.keyboard.press('Escape')
    expect(await page.locator('#panel').isVisible()).toBe(false)
    expect(problems).toEqual([])
  })

  it('is dark where its reader likes it so, and still where motion disturbs', async () => {
    const luminance = async (colorScheme: 'light' | 'dark') => {
      const context = { colorScheme, reducedMotion: 'reduce' as const }
      const slow = interrupted('a b c d')
      await using session = await visit({ model: slow.model }, {}, context)
      const { page } = session
      await ready(page)
      await ask(page, 'Go')
      await page.locator('.answer p', { hasText: 'a b' }).waitFor()
      const dot = "getComputedStyle(document.querySelector('.answer p'), '::after').animationName"
      expect(await page.evaluate(dot)).toBe('none')
      slow.finish()
      await answered(page)
      const color = await page.evaluate('getComputedStyle(document.body).backgroundColor')
      const [red, green, blue] = (color as string).match(/\d+/g)?.map(Number) ?? []
      return (red + green + blue) / 3
    }
    expect(await luminance('light')).toBeGreaterThan(200)
    expect(await luminance('dark')).toBeLessThan(50)
  })

  it('charts what the metrics tell', async () => {
    await using session = await visit({ model }, { readBandwidth: 1e10 })
    const { page, problems } = session
    await ready(page)
    const value = (title: string) => page.locator('.chart', { hasText: title }).locator('.value')
    const requests = value('Requests')
    await expect
      .poll(() => requests.textContent(), { timeout: 30_000 })
      .toMatch(/^0 running · 0 wait/)
    await page.getByLabel('Max tokens').fill('20')
    await ask(page, 'Speak')
    await answered(page)
    const firstToken = value('Time to first token')
    await expect.poll(() => firstToken.textContent(), { timeout: 30_000 }).toMatch(/^[\d.]+ m?s$/)
    expect(await value('KV cache in use').textContent()).toMatch(/^[\d.]+ %$/)
    expect(await value('Read bandwidth').textContent()).toMatch(/^[\d.]+ %$/)
    expect(problems).toEqual([])
  })

  it('asks for the key where the server wants one, and keeps it for the tab only', async () => {
    const keys = { apiKeys: ['secret'] }
    await using session = await visit({ model: scripted(model, 'Open.') }, keys)
    const { page, url } = session
    await state(page, 'locked')
    await page.getByLabel(/asks for an API key/).fill('wrong')
    await page.keyboard.press('Enter')
    await page.getByText('The API key is not valid.').waitFor()
    await page.getByLabel(/asks for an API key/).fill('secret')
    await page.keyboard.press('Enter')
    await ready(page)
    await page.reload()
    await ready(page)
    await ask(page, 'Sesame')
    expect(await answered(page)).toBe('Open.')
    expect(await page.evaluate('JSON.stringify(localStorage)')).not.toContain('secret')
    await page.goto(`${url}/docs/`)
    await page.getByRole('heading', { name: '/v1/chat/completions' }).waitFor()
  })

  it('has a page of all routes and their fields', async () => {
    const server = await start({ model })
    await using session = await open(browser, `${server.url}/docs`)
    const { page, problems } = session
    const chat = page.locator('#post-v1-chat-completions')
    await chat.getByText('temperature', { exact: true }).waitFor()
    expect(await chat.locator('dt', { hasText: 'messages' }).first().textContent()).toBe(
      'messages required',
    )
    const { paths } = (await (await fetch(`${server.url}/openapi.json`)).json()) as {
      paths: Record<string, object>
    }
    const routes = Object.values(paths).flatMap(Object.keys)
    expect(await page.locator('section').count()).toBe(routes.length)
    await page.setViewportSize({ width: 360, height: 640 })
    expect(await overflow(page)).toBe(0)
    expect(problems).toEqual([])
    await server.close()
  })

  it('works under the prefix of an app that mounts it', async () => {
    const app = Fastify()
    const models = { model: scripted(model, 'Mounted.') }
    await app.register(dotpoolRoutes, { prefix: '/llm', models, page: true })
    const url = await app.listen({ host: '127.0.0.1', port: 0 })
    await using session = await open(browser, `${url}/llm`)
    const { page, problems } = session
    expect(page.url()).toBe(`${url}/llm/`)
    await ready(page)
    await ask(page, 'Where?')
    expect(await answered(page)).toBe('Mounted.')
    await page.getByRole('link', { name: 'API' }).click()
    await page.getByRole('heading', { name: '/llm/v1/models', exact: false }).first().waitFor()
    expect(problems).toEqual([])
    await app.close()
  })
})
