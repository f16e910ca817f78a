# The posix disk alone, without gRPC, so that the storage tests link nothing else of the server.
if(NOT TARGET assent_posix_disk)
  assent_library(assent_posix_disk
    SOURCES ${CMAKE_CURRENT_LIST_DIR}/posix_disk.cc ${CMAKE_CURRENT_LIST_DIR}/spare_file.cc
    LINK assent_storage Threads::Threads)
endif()
