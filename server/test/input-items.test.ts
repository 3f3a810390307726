import { describe, expect, it } from 'vitest'
import { toMessages } from '#server/generation/input-items.js'
import type { InputItem } from '#server/schemas/responses.js'

const thought: InputItem = {
  type: 'reasoning',
  content: [{ type: 'reasoning_text', text: 'Rain?' }],
}
const said = (text: string): InputItem => ({ role: 'assistant', content: text })
const call = (call_id: string): InputItem => ({
  type: 'function_call',
  call_id,
  name: `f${call_id}`,
  arguments: '{}',
})
const result = (call_id: string): InputItem => ({
  type: 'function_call_output',
  call_id,
  output: [{ type: 'input_text', text: 'rain' }],
})
const called = (id: string) => ({
  id,
  type: 'function',
  function: { name: `f${id}`, arguments: '{}' },
})

describe('items of an input', () => {
  it('become one message for each turn', () => {
    const input = [
      { role: 'user' as const, content: 'Rome?' },
      thought,
      said('Let me see.'),
      call('1'),
      call('2'),
      result('1'),
      result('2'),
      call('3'),
    ]
    expect(toMessages({ instructions: 'Be brief.', input })).toEqual([
      { role: 'system', content: 'Be brief.' },
      { role: 'user', content: 'Rome?' },
      {
        role: 'assistant',
        content: 'Let me see.',
        reasoning_content: 'Rain?',
        tool_calls: [called('1'), called('2')],
      },
      { role: 'tool', tool_call_id: '1', name: 'f1', content: 'rain' },
      { role: 'tool', tool_call_id: '2', name: 'f2', content: 'rain' },
      { role: 'assistant', content: '', tool_calls: [called('3')] },
    ])
  })

  it('begin another turn where one has said or called already', () => {
    const input = [said('A.'), said('B.'), call('1'), said('C.'), thought, thought]
    expect(toMessages({ input })).toEqual([
      { role: 'assistant', content: 'A.' },
      { role: 'assistant', content: 'B.', tool_calls: [called('1')] },
      { role: 'assistant', content: 'C.' },
      { role: 'assistant', content: '', reasoning_content: 'Rain?' },
      { role: 'assistant', content: '', reasoning_content: 'Rain?' },
    ])
  })
})
