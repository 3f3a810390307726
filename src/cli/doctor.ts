import { Command } from 'commander'
import { diagnose } from './diagnosis.js'
import { presentDiagnosis } from './present-diagnosis.js'

export const doctorCommand = new Command('doctor')
  .description('report what this machine can do, what is wrong and how to fix it')
  .option('--json', 'print JSON')
  .action(async ({ json }: { json?: true }) => {
    const diagnosis = await diagnose()
    console.log(json ? JSON.stringify(diagnosis, null, 2) : presentDiagnosis(diagnosis))
  })
