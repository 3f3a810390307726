import { Command } from 'commander'
import { diagnose } from './diagnosis.js'
import { presentDiagnosis } from './present-diagnosis.js'

export const doctorCommand = new Command('doctor')
  .description('tell what this machine can do and what stands in its way')
  .option('--json', 'print JSON')
  .action(async ({ json }: { json?: true }) => {
    const diagnosis = await diagnose()
    console.log(json ? JSON.stringify(diagnosis, null, 2) : presentDiagnosis(diagnosis))
  })
