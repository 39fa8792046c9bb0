import mimetypes
from collections.abc import Generator

from dify_plugin.entities.datasource import (
    DatasourceMessage,
    OnlineDriveBrowseFilesRequest,
    OnlineDriveBrowseFilesResponse,
    OnlineDriveDownloadFileRequest,
    OnlineDriveFile,
    OnlineDriveFileBucket,
)
from dify_plugin.interfaces.datasource.online_drive import OnlineDriveDatasource

from handbook import Handbook

HANDBOOK = Handbook()


class Shelves(OnlineDriveDatasource):
    """
    A drive: people look around in its folders and choose files, which are then fetched one by one.

    `self.runtime.credentials` has what was entered; a drive elsewhere would be asked with it.
    """

    def _browse_files(self, request: OnlineDriveBrowseFilesRequest) -> OnlineDriveBrowseFilesResponse:
        if not request.bucket:  # the top of a drive with buckets: Dify shows each as a folder
            return OnlineDriveBrowseFilesResponse(
                result=[OnlineDriveFileBucket(bucket=name, files=[], is_truncated=False) for name in HANDBOOK.shelves()]
            )
        # Long folders are shown page by page: what stands in `next_page_parameters` comes back with the request for the next one.
        after = (request.next_page_parameters or {}).get("after", "")
        entries, more = HANDBOOK.entries(request.bucket, request.prefix or "", request.max_keys, after)
        return OnlineDriveBrowseFilesResponse(
            result=[
                OnlineDriveFileBucket(
                    bucket=request.bucket,
                    files=[
                        OnlineDriveFile(id=entry.path, name=entry.name, size=entry.size, type="folder" if entry.is_folder else "file")
                        for entry in entries
                    ],
                    is_truncated=more,
                    next_page_parameters={"after": entries[-1].path} if more else {},
                )
            ]
        )

    def _download_file(self, request: OnlineDriveDownloadFileRequest) -> Generator[DatasourceMessage, None, None]:
        """One message with the whole file; the type says how Dify takes it apart."""
        data = HANDBOOK.read(request.bucket or "", request.id)
        name = request.id.rpartition("/")[2]
        yield self.create_blob_message(data, meta={"file_name": name, "mime_type": mimetypes.guess_type(name)[0] or "text/plain"})
